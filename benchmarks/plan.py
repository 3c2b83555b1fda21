"""What is compared with what, and the marks that Gleaner sets itself."""

from __future__ import annotations

from typing import NamedTuple

RAW, FAUST, INGEST, ROLLING, WHOLE = "raw aiokafka", "bare Faust", "ingest", "rolling", "whole path"
CASES = (RAW, FAUST, INGEST, ROLLING)
"""Each is one worker process. The whole path is none: it is the CPU time of ingest and rolling together."""


class Shape(NamedTuple):
    """How events are put into messages; ``weight`` scales the number of events of a round."""

    name: str
    per_message: int
    weight: int


SINGLE = Shape("single", 1, 1)
PACKED = Shape("packed", 20, 3)
SHAPES = (SINGLE, PACKED)


class Mark(NamedTuple):
    """``case`` is to reach at least ``least`` times the events per CPU-second of ``of``."""

    shape: Shape
    case: str
    of: str
    least: float


MARKS = (
    Mark(SINGLE, INGEST, FAUST, 0.90),
    Mark(SINGLE, WHOLE, FAUST, 0.75),
    Mark(PACKED, INGEST, RAW, 0.45),
    Mark(PACKED, WHOLE, RAW, 0.30),
)
