"""How far a scorer can be trusted, in words: what it is of, its n, its interval. Not yet escaped."""

from __future__ import annotations

from schemas.calibration import Calibration
from sinks.clean import clean
from sinks.numbers import percent

ROOM = 40


def trust(one: Calibration) -> str:
    """``ragas_faithfulness: 41 of 48 lows confirmed by reviewers (85%, 95%: 72% to 93%)``, or that too few
    are reviewed to say so."""
    name = clean(one.scorer, ROOM)
    if not one.known:
        return f"{name} not calibrated yet: {one.reviewed:,} of its lows reviewed"
    return f"{name}: {one.confirmed:,} of {one.reviewed:,} lows confirmed by reviewers ({share(one)})"


def share(one: Calibration) -> str:
    """``85%, 95%: 72% to 93%``; an empty string where nothing is reviewed."""
    if not one.reviewed:
        return ""
    said = percent(one.confirmed / one.reviewed)
    if one.share_from is None or one.share_to is None:
        return said
    return f"{said}, 95%: {percent(one.share_from)} to {percent(one.share_to)}"
