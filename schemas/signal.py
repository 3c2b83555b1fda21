"""What a detector concluded, and what a window measured."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, TypeAdapter

from schemas.base import WIRE_VERSION, Record


class SignalName(StrEnum):
    """What is kept per segment; ``schemas.catalog`` says what each measures."""

    FAITHFULNESS = "faithfulness"
    ESCALATION = "escalation_rate"
    COST = "cost_per_request"
    COST_PER_SUCCESS = "cost_per_success"
    SERVED_MODEL = "served_model"
    BROKEN_OUTPUT = "broken_output_rate"
    ERROR = "error_rate"
    TASK_FAILURE = "task_failure_rate"
    EMPTY_RETRIEVAL = "empty_retrieval_rate"
    POLICY_BLOCK = "policy_block_rate"
    REFUSAL = "refusal_rate"
    TRUNCATION = "truncation_rate"
    FALLBACK = "fallback_rate"
    NEGATIVE_FEEDBACK = "negative_feedback_rate"
    CORRECTION = "correction_rate"
    ABANDONMENT = "abandonment_rate"
    UNPRICED = "unpriced_rate"
    TOKENS = "tokens_per_request"
    LATENCY = "latency_ms"
    TIME_TO_FIRST_TOKEN = "time_to_first_token_ms"  # noqa: S105
    GROUNDED = "grounded_rate"
    UNSCORED = "unscored_rate"
    SPEND = "spend"
    VOLUME = "volume"
    INDEX_AGE = "index_age"
    USER_BUDGET = "user_budget"
    SLOW = "slow_request_rate"
    SLOW_START = "slow_first_token_rate"
    COSTLY = "costly_request_rate"
    LONG = "long_request_rate"


class Severity(StrEnum):
    """P1 wakes somebody, P2 pages in working hours, P3 is a message, INFO is a note that never pages."""

    P1 = "P1"
    P2 = "P2"
    P3 = "P3"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 is the gravest."""
        return list(Severity).index(self)


class Cause(Record):
    """The value of a dimension that explains a move: ``previous`` gave way to ``current``.

    ``previous`` is None where the value replaced nothing: one user, one document. The wire names are
    ``from`` and ``to``.
    """

    model_config = ConfigDict(populate_by_name=True)

    dimension: str
    previous: str | None = Field(default=None, alias="from")
    current: str | None = Field(default=None, alias="to")
    share: float | None = None
    """Part of the move that this value accounts for, 0 to 1; None for a deterministic cause."""
    effect: Literal["within", "mix"] | None = None
    """``within``: this value's own traffic got worse, or it is new. ``mix``: there is more of it, as bad as
    it always was. None for a deterministic cause, and in records from before this was told."""


def user_of(signal: SignalName, cause: Cause | None) -> str:
    """Whose budget an alarm of ``user_budget`` is of; empty for other signals, of which a user is at most a
    cause."""
    return (cause.current or "") if signal is SignalName.USER_BUDGET and cause is not None else ""


class Signal(Record):
    """An alarm of a rule in a segment.

    ``baseline`` and ``value`` are in the signal's own unit (a mean, a rate, dollars): what was normal,
    and the mean since ``onset`` over ``n`` units. ``onset`` is the estimated change point, whose
    typical error is stated in the detectors' documentation; ``detected_at`` is the event time of the
    observation that decided. ``evidence`` is log10 of the detector's statistic, ``threshold`` that of
    the guaranteed bound. ``pages`` is False for notes: evidence for an incident, never one themselves.
    """

    type: Literal["alarm"] = "alarm"
    v: int = WIRE_VERSION
    id: str
    app: str
    environment: str
    route: str
    signal: SignalName
    rule: str
    severity: Severity
    pages: bool
    direction: Literal["up", "down", "changed"]
    onset: int
    onset_from: int | None = None
    """The change is likely (90 %) between these two times; None where that is not known."""
    onset_to: int | None = None
    detected_at: int
    baseline: float | None = None
    baseline_n: int = 0
    baseline_note: str = ""
    value: float | None = None
    value_from: float | None = None
    """``value`` lies between these two (95 %); None where that is not known. See ``detectors.interval``."""
    value_to: float | None = None
    n: int
    unit: str = ""
    evidence: float | None = None
    threshold: float | None = None
    budget: str = ""
    cause: Cause | None = None
    ruled_out: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    """trace_ids of up to three of the worst units since the onset."""
    scorer: str = ""
    """Whose scores it is of; empty where the signal is none of scores."""
    reason: str
    """Why it fired, in words."""
    owner: str = ""
    """Whose rule it is, and what to read when it fires: as the rules file says."""
    runbook: str = ""
    action: str = ""
    """What to do first, where the rules file says it; else the receiver has words of its own."""

    @property
    def identity(self) -> tuple[str, str, str]:
        """Whose alarm it is: rule, route and, of a user's budget, the user."""
        return self.rule, self.route, user_of(self.signal, self.cause)


class Recovery(Record):
    """The end of an alarm: a rule's mirrored detector has shown that its signal is back.

    Of users' budgets it ends every user's: they begin anew together.

    ``alarm_id`` is the first alarm since the rule's signal was last well; ``since`` the estimated time of
    the return, ``value`` the mean over the ``n`` units since then, ``bound`` what that mean was shown to be
    better than: the baseline and a quarter of the move (None: shown by ranks, or by thousands of units
    without a further alarm). Silence never makes one: it takes units. Where a baseline is given up because
    prices come from another source, or because a person has accepted what is as normal, what was open against
    it ends, too; ``reason`` says so.
    """

    type: Literal["recovery"] = "recovery"
    v: int = WIRE_VERSION
    id: str
    alarm_id: str
    app: str
    environment: str
    route: str
    signal: SignalName
    rule: str
    since: int
    detected_at: int
    baseline: float
    bound: float | None = None
    value: float
    n: int
    unit: str = ""
    reason: str
    accepted_by: str | None = None
    """Nothing is back: this person (empty: nobody is named) has accepted what is as normal."""


class WindowStat(Record):
    """One part of one signal of one segment in an event-time window: ``[start, end)`` in epoch ms.

    The parts of a window add up: 0 is what was there when it closed, 1, 2, … what came later. Of the same
    part the last one in the log stands; where it says less than one before it, a later part says the rest.

    ``total`` is the sum over ``n`` units, in the signal's unit, so windows merge by addition, too.
    ``unmeasured`` counts the units that had no value (an unscored answer, an unpriced request): they are in
    no mean. ``late`` counts the units of ``n`` that came after the watermark and so reached no detector.
    ``low`` counts the scores of ``n`` that their scorer calls low: 1 - low / n is the grounded-answer rate.
    ``histogram`` is that of an amount's ``n`` values (``schemas.histogram``); other signals have none.
    """

    type: Literal["window"] = "window"
    v: int = WIRE_VERSION
    app: str
    environment: str
    route: str
    signal: SignalName
    start: int
    end: int
    n: int
    total: float
    unmeasured: int = 0
    late: int = 0
    low: int = 0
    part: int = 0
    histogram: tuple[int, ...] = ()


class RollingReport(Record):
    """Where the rolling stage of one observations partition stands, and what it has counted.

    ``counters`` by app: traces, feedback, changes and duplicates (together each accepted event once),
    scores, late, unjoined, unscored … Published with the state that it describes: exact after a crash.
    """

    type: Literal["report"] = "report"
    v: int = WIRE_VERSION
    partition: int
    position: int
    watermark: int | None = None
    counters: dict[str, dict[str, int]]


class Watched(Record):
    """How one rule's detector stood in a segment at a time. Whoever asks why nothing fired reads this.

    ``stage`` is how far its baseline has come: ``learning`` (``seen`` units so far, it cannot fire yet),
    ``provisional``, ``pinned``. ``evidence`` and ``threshold`` are log10 of the statistic and of its bound.
    ``waiting`` units have brought it beyond the bound, and are too few to tell. ``dropped`` counts the alarms
    of which the mean had moved less than the rule's minimum effect, the latest at ``dropped_at`` with the
    mean ``dropped_value``. ``side`` tells the two detectors of cost per success apart.
    """

    rule: str
    signal: SignalName
    side: str = ""
    stage: Literal["learning", "provisional", "pinned"]
    seen: int = 0
    baseline: float | None = None
    baseline_n: int = 0
    evidence: float | None = None
    threshold: float | None = None
    open: bool = False
    """An alarm of it has not ended yet."""
    waiting: int = 0
    dropped: int = 0
    dropped_at: int | None = None
    dropped_value: float | None = None


class Standing(Record):
    """How the detectors of a segment stood when event time had come to ``at`` (epoch ms).

    Published about once a window with a commit, and no part of any decision: how often, and exactly when,
    depends on the commits, what it says of its time does not.
    """

    type: Literal["standing"] = "standing"
    v: int = WIRE_VERSION
    app: str
    environment: str
    route: str
    at: int
    watched: tuple[Watched, ...]


SignalRecord = Signal | Recovery | WindowStat | RollingReport | Standing
SIGNAL_RECORD: TypeAdapter[SignalRecord] = TypeAdapter(Annotated[SignalRecord, Field(discriminator="type")])
