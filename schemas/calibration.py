"""How far a scorer's word can be trusted: what reviewers said of answers that it called low."""

from __future__ import annotations

from schemas.base import WIRE_VERSION, EpochMs, Record

LEAST = 10
"""Reviewed failures below which a share says too little to be quoted: of 9 out of 9 it is above 66 %."""


class Calibration(Record):
    """Of one app's failures in which this version of ``scorer`` called an answer low, ``reviewed`` have a
    reviewer's verdict, and ``confirmed`` of those were accepted as failures.

    A failure is a cluster: near-duplicates count once. The share behind the two counts lies between
    ``share_from`` and ``share_to`` (95 %, Clopper and Pearson 1934); None where nothing is reviewed.

    **Misleads**: this is precision, of what people chose to review (the gravest first, as a rule). It says
    nothing of failures that the scorer called good.
    """

    app: str
    scorer: str
    scorer_version: str = ""
    reviewed: int = 0
    confirmed: int = 0
    share_from: float | None = None
    share_to: float | None = None

    @property
    def known(self) -> bool:
        """Whether enough has been reviewed for a share to say something."""
        return self.reviewed >= LEAST


class Calibrations(Record):
    """Every scorer of every app with a reviewed failure, as of ``at`` (epoch ms): the newest replaces those
    before it. An app or scorer that is not in it has no reviewed failure."""

    v: int = WIRE_VERSION
    at: EpochMs
    figures: tuple[Calibration, ...] = ()

    def of(self, app: str, scorer: str) -> Calibration:
        """That of ``scorer`` in ``app``: of no reviewed failure, where there is none."""
        for one in self.figures:
            if (one.app, one.scorer) == (app, scorer):
                return one
        return Calibration(app=app, scorer=scorer)
