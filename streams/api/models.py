"""What goes in and out of the API. Fields are those of the views (docs/evalstore.md); None is "not known"."""

from __future__ import annotations

from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from sinks.evalstore.annotations import MOST, answer, label, reviewer, sentence
from sinks.evalstore.text import storable

Item = TypeVar("Item", bound=BaseModel)
Time = Annotated[str, Field(description="RFC 3339, UTC", examples=["2026-03-06T09:12:44Z"])]
Label = Annotated[
    str,
    AfterValidator(label),
    Field(description="One word: letters, digits and . _ / : -", examples=["needs-docs"]),
]
Sentence = Annotated[str, AfterValidator(sentence), Field(examples=["names the 30 days"])]
Answer = Annotated[str, AfterValidator(answer)]
Reviewer = Annotated[str, AfterValidator(reviewer)]
Labels = Annotated[list[Label], Field(max_length=MOST)]
Sentences = Annotated[list[Sentence], Field(max_length=MOST)]
Note = Annotated[str | None, Field(max_length=2_000, description="Why")]


def _characters(text: str) -> str:
    if storable(text)[1]:
        raise ValueError("holds half of a surrogate pair, which is no character")
    return text


Id = Annotated[str, AfterValidator(_characters)]


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
    expected_answer: str | None = Field(description="A reviewer's, else a user's correction")
    expected_from: str | None = Field(description="reviewer, correction, or null where there is none")
    labels: list[str] = Field(description="Of its cluster")
    must: list[str] = Field(description="What a right answer does; of its cluster")
    must_not: list[str] = Field(description="What a right answer does not; of its cluster")
    assigned: str | None = Field(description="The reviewer whose turn it is; of its cluster")
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
    labels: list[str]
    must: list[str] = Field(description="What a right answer does")
    must_not: list[str] = Field(description="What a right answer does not")
    assigned: str | None = Field(description="The reviewer whose turn it is")


class ClusterVerdict(Out):
    actor: str
    verdict: str
    note: str | None
    reviewed_at: Time
    review_id: str


class ClusterAnnotation(Out):
    """A label, a criterion, or an assignment that stands."""

    kind: Literal["label", "must", "must_not", "assigned"]
    text: str
    case_id: str = Field(description="The case that it was said of")
    actor: str
    annotated_at: Time
    annotation_id: str = Field(description="What undoes it, with all that was said at once")


class ClusterWhole(ClusterItem):
    verdicts: list[ClusterVerdict] = Field(description="The latest of each reviewer")
    annotations: list[ClusterAnnotation] = Field(description="In the order in which they were said")


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
    note: Note = None


class ReviewStateOut(Out):
    """What reviewers have said of a case's cluster by now."""

    cluster_id: str
    cases: int = Field(description="Of the cluster")
    labels: list[str]
    must: list[str]
    must_not: list[str]
    assigned: str | None
    expected_answer: str | None = Field(description="Of the case: a reviewer's, else a user's correction")
    expected_from: str | None
    verdicts: list[ClusterVerdict] = Field(description="The latest of each reviewer, the latest last")


class ReviewedOut(Out):
    id: str | None = Field(description="What undoes it; null where it stood already")
    cases: int = Field(description="Cases of the cluster, for which it counts")
    state: ReviewStateOut


class LabelsIn(In):
    add: Labels = []
    remove: Labels = []


class CriteriaIn(In):
    """Short sentences, each on one line. Those to be removed are given as they stand."""

    must: Sentences = []
    must_not: Sentences = []
    remove_must: Sentences = []
    remove_must_not: Sentences = []


class ExpectedAnswerIn(In):
    text: Answer | None = Field(
        description="null withdraws the reviewers' answer; a user's correction stands then"
    )


class AssignmentIn(In):
    reviewer: Reviewer | None = Field(description="null: nobody")


class AnnotatedOut(Out):
    id: str | None = Field(description="What undoes it; null where everything stood already")
    changed: int = Field(description="How much of it was new")
    cases: int = Field(description="Cases of the cluster")
    redacted: int = Field(description="Texts from which the app's privacy policy took something out")
    state: ReviewStateOut


class MeOut(Out):
    """Who asks."""

    name: str | None = Field(description="The reviewer whom the token names; null: one who may read")


class SplitIn(In):
    case_ids: list[Id] = Field(min_length=1, max_length=10_000)
    note: Note = None


class MergeIn(In):
    cluster_id: Id
    target: Id
    note: Note = None


class RegroupedOut(Out):
    edit_id: str = Field(description="What undoes it")
    cluster_id: str
    cases: int


class UndoIn(In):
    id: Id | None = Field(None, description="An edit, a verdict or an annotation; null: the caller's latest")


class UndoneOut(Out):
    id: str
    kind: str = Field(description="split, merge, accepted, dismissed, or the kind of the annotation")
    case_id: str | None = Field(description="Of which case it was said; null of a split or a merge")
    state: ReviewStateOut | None


class Fault(Out):
    """Why a request was not answered, in one line."""

    error: str
