"""The spec of a chart as SVG or PNG."""

from __future__ import annotations

from typing import Any

import vl_convert

from sinks.charts.data import SignalChart
from sinks.charts.spec import spec

VEGA_LITE = "6.4"
"""Version of the grammar; the drawing library brings several."""
NOWHERE: list[str] = []
"""Base URLs that a spec may fetch from: none."""
SCALE = 2
"""Pixels to a unit of length: text stays sharp on a phone."""


def svg(chart: SignalChart) -> bytes:
    """The chart as SVG, UTF-8."""
    return str(vl_convert.vegalite_to_svg(**_arguments(chart))).encode()


def png(chart: SignalChart) -> bytes:
    """The chart as PNG, about 1,000 pixels wide."""
    return bytes(vl_convert.vegalite_to_png(**_arguments(chart), scale=SCALE))


def _arguments(chart: SignalChart) -> dict[str, Any]:
    return {"vl_spec": spec(chart), "vl_version": VEGA_LITE, "allowed_base_urls": NOWHERE}
