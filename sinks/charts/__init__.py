"""Charts of a signal: values in, SVG or PNG out. Pure, the same bytes at every run.

=========  ============================================================================
module     one idea
=========  ============================================================================
``data``   what a chart shows, as plain values
``bins``   windows merged to as many points as a chart has room for
``spec``   the chart in the grammar of Vega-Lite: a dict
``draw``   the spec as SVG or PNG; the only file that imports vl-convert
=========  ============================================================================
"""

from sinks.charts.data import Level, Mark, Point, SignalChart, Span
from sinks.charts.draw import png, svg

__all__ = ["Level", "Mark", "Point", "SignalChart", "Span", "png", "svg"]
