"""What goes in and out of the API. Fields are those of the views (docs/evalstore.md); None is "not known"."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item", bound=BaseModel)
Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2026-03-06T09:12:44Z"])]
Actor = Annotated[str, Field(min_length=1, max_length=200, description="Who says so")]
Note = Annotated[str | None, Field(max_length=2_000, description="Why")]


class Out(BaseModel):
    model_config = ConfigDict(frozen=True)


class In(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PageOf(Out, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: str | None = Field(description="Cursor of the following page; null behind the last")


class CaseItem(Out):
    """A failing trace, in a list."""

    case_id: str
    trace_id: str
    app: str
    environment: str
    route: str
    ts: Time
    reasons: list[str] = Field(description="Of all its events, in a fixed order")
    cluster_id: str
    cluster_size: int = Field(description="Near-duplicates, itself included")
    verdict: str | None = Field(description="The latest verdict on its cluster: accepted or dismissed")
    replayable: bool
    missing: list[str] = Field(description="What a replay would lack")
    score: float | None = Field(description="The latest, on the scale of its scorer")
    scorer: str | None
    cost_usd: float | None
    question: str | None
    answer: str | None
    expected_answer: str | None = Field(description="A person's correction")
    model: str | None
    served_model: str | None
    prompt_version: str | None
    index_version: str | None
    release: str | None


class Passage(Out):
    id: str | None
    text: str | None
    score: float | None


class CaseEvent(Out):
    """Why a case is one: a score, a feedback, a correction."""

    event_id: str
    ts: Time
    reasons: list[str]
    score: dict[str, Any] | None
    feedback: dict[str, Any] | None
    expected_answer: str | None


class CaseWhole(CaseItem):
    """A failing trace, whole."""

    conversation_id: str | None
    user_id: str | None
    provider: str | None
    price_status: str | None = Field(description="Why the cost is not known, where it is not")
    contexts: list[Passage] | None = Field(description="What was retrieved, in its order")
    scores: dict[str, float] | None = Field(description="The application's own")
    trace: dict[str, Any] | None = Field(description="The application's event, after redaction")
    coordinates: dict[str, Any] | None = Field(description="Where the event is in Kafka")
    events: list[CaseEvent]
    first_seen: Time
    content_hash: str
    redactions: int
    replaced_characters: int


class ClusterItem(Out):
    """Cases of one application that fail alike."""

    cluster_id: str
    app: str
    cases: int
    first_seen: Time
    last_seen: Time
    representative: str = Field(description="The case to look at")
    reasons: list[str]
    verdict: str | None
    severity: float
    frequency: float
    novelty: float
    rank: float = Field(description="severity × frequency × novelty")
    question: str | None


class ClusterVerdict(Out):
    actor: str
    verdict: str
    note: str | None
    reviewed_at: Time
    review_id: str


class ClusterWhole(ClusterItem):
    verdicts: list[ClusterVerdict] = Field(description="The latest of each reviewer")


class SignalItem(Out):
    """An alarm: a signal of a segment has moved."""

    id: str
    app: str
    environment: str
    route: str
    signal: str
    rule: str
    severity: str
    pages: bool
    direction: str
    onset: Time
    detected_at: Time
    ended_at: Time | None = Field(description="When the signal was back; null while it is not")
    baseline: float | None
    value: float | None
    n: int
    reason: str


class IncidentItem(Out):
    """An incident at its latest revision."""

    id: str
    revision: int
    app: str
    environment: str
    route: str
    signal: str
    rule: str
    severity: str
    state: str
    onset: Time
    detected_at: Time
    updated_at: Time
    baseline: float | None
    value: float | None
    n: int
    body: dict[str, Any] = Field(description="The whole of it")


class ReleaseItem(Out):
    """A frozen set of failures."""

    release: str
    frozen_at: Time
    cases: int
    forgotten: int
    sha256: str
    options: dict[str, Any]


class ReleaseCase(Out):
    """A case as it was frozen."""

    position: int
    case_id: str
    cluster_id: str
    record: dict[str, Any]


class AgreementItem(Out):
    """How far two reviewers agree: Cohen's kappa over the n clusters that both have a verdict on."""

    one: str
    other: str
    n: int
    same: int
    observed: float | None
    expected: float | None
    kappa: float | None


class TotalsOut(Out):
    """Rows of the store."""

    cases: int
    distinct_cases: int
    not_replayable: int
    case_events: int
    signals: int
    windows: int
    incidents: int
    dead_letters: int
    own_faults: int


class Query(In):
    """One SELECT, on the newest snapshot: read-only, without files, network or settings."""

    query: str = Field(max_length=100_000, examples=["SELECT app, count(*) AS n FROM case_list GROUP BY app"])
    limit: int = Field(1_000, ge=1, le=10_000)
    seconds: float = Field(10, gt=0, le=30)


class Rows(Out):
    columns: list[str]
    rows: list[list[Any]]
    more: bool = Field(description="There are further rows than were asked for")


class ReviewIn(In):
    verdict: Literal["accepted", "dismissed"]
    actor: Actor
    note: Note = None


class ReviewedOut(Out):
    id: str = Field(description="What undoes it")
    cases: int = Field(description="Cases of the cluster, for which it counts")


class SplitIn(In):
    case_ids: list[str] = Field(min_length=1, max_length=10_000)
    actor: Actor
    note: Note = None


class MergeIn(In):
    cluster_id: str
    target: str
    actor: Actor
    note: Note = None


class RegroupedOut(Out):
    edit_id: str = Field(description="What undoes it")
    cluster_id: str
    cases: int


class UndoIn(In):
    actor: Actor
    id: str | None = Field(None, description="An edit or a verdict; null: the actor's latest")


class UndoneOut(Out):
    id: str
    kind: str


class Fault(Out):
    """Why a request was not answered, in one line."""

    error: str
