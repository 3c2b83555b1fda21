"""What reviewers may do: each is a request to the store's owner, in the name of the token's reviewer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Path, Request, Security
from fastapi.security import HTTPBearer

from sinks.evalstore import find_case
from sinks.evalstore.annotations import Change, Kind
from sinks.evalstore.requests import STATE
from streams.api import models
from streams.api.guard import CALLER
from streams.api.store import Store

CaseId = Annotated[str, Path(description="case_id, the beginning of one, or a trace_id")]
BEARER = HTTPBearer(auto_error=False, description="A token of GLEANER_API_TOKENS: it names the reviewer")


def who(request: Request) -> str | None:
    """The reviewer whom the guard found; None: somebody who may read."""
    caller = request.scope.get(CALLER)
    return None if caller is None else caller.name


def reviewer(name: Annotated[str | None, Depends(who)], bearer: Annotated[Any, Security(BEARER)]) -> str:
    """Who says so, by the token and never by the body."""
    if name is None:
        raise HTTPException(403, "who says so? this needs a token with a name: GLEANER_API_TOKENS")
    return name


Reviewer = Annotated[str, Depends(reviewer)]
REFUSALS: dict[int | str, dict[str, Any]] = {
    403: {"model": models.Fault, "description": "The token names no reviewer"},
    409: {"model": models.Fault, "description": "Refused, and why"},
}
OF_A_CASE = REFUSALS | {
    404: {"model": models.Fault, "description": "No such case"},
    409: {"model": models.Fault, "description": "Refused, and why; or several cases begin so"},
}


def add_actions(app: FastAPI, store: Store) -> None:
    def case_of(case_id: str) -> str:
        with store.reading() as con:
            return str(find_case(con, case_id)["case_id"])

    def annotate(case_id: str, actor: str, changes: Iterable[Change]) -> models.AnnotatedOut:
        wanted = {"case_id": case_of(case_id), "actor": actor, "changes": [list(each) for each in changes]}
        if not wanted["changes"]:
            raise HTTPException(422, "body: nothing to change")
        return models.AnnotatedOut.model_validate(store.act({"annotate": wanted | {STATE: True}}))

    @app.post("/v1/cases/{case_id}/review", tags=["review"], responses=OF_A_CASE)
    def review(case_id: CaseId, said: models.ReviewIn, actor: Reviewer) -> models.ReviewedOut:
        """A verdict on a case; it counts for its cluster."""
        wanted = said.model_dump() | {"case_id": case_of(case_id), "actor": actor, STATE: True}
        return models.ReviewedOut.model_validate(store.act({"review": wanted}))

    @app.post("/v1/cases/{case_id}/labels", tags=["review"], responses=OF_A_CASE)
    def labels(case_id: CaseId, said: models.LabelsIn, actor: Reviewer) -> models.AnnotatedOut:
        """Labels of a case's cluster, added and removed."""
        return annotate(case_id, actor, _changes(Kind.LABEL, said.add, said.remove))

    @app.post("/v1/cases/{case_id}/criteria", tags=["review"], responses=OF_A_CASE)
    def criteria(case_id: CaseId, said: models.CriteriaIn, actor: Reviewer) -> models.AnnotatedOut:
        """What an answer to this failure must and must not do, added and removed."""
        must = _changes(Kind.MUST, said.must, said.remove_must)
        return annotate(case_id, actor, must + _changes(Kind.MUST_NOT, said.must_not, said.remove_must_not))

    @app.post("/v1/cases/{case_id}/expected-answer", tags=["review"], responses=OF_A_CASE)
    def expected_answer(
        case_id: CaseId, said: models.ExpectedAnswerIn, actor: Reviewer
    ) -> models.AnnotatedOut:
        """The right answer to this case's question; it stands before a user's correction."""
        return annotate(case_id, actor, [Change(Kind.EXPECTED, said.text, said.text is None)])

    @app.post("/v1/cases/{case_id}/assignment", tags=["review"], responses=OF_A_CASE)
    def assignment(case_id: CaseId, said: models.AssignmentIn, actor: Reviewer) -> models.AnnotatedOut:
        """Whose turn it is to review a case's cluster."""
        return annotate(case_id, actor, [Change(Kind.ASSIGNED, said.reviewer, said.reviewer is None)])

    @app.post("/v1/clusters/split", tags=["review"], responses=REFUSALS)
    def split(said: models.SplitIn, actor: Reviewer) -> models.RegroupedOut:
        """Some cases of a cluster are a failure of their own."""
        return models.RegroupedOut.model_validate(store.act({"split": said.model_dump() | {"actor": actor}}))

    @app.post("/v1/clusters/merge", tags=["review"], responses=REFUSALS)
    def merge(said: models.MergeIn, actor: Reviewer) -> models.RegroupedOut:
        """Two clusters are one failure; the older one's id stands."""
        return models.RegroupedOut.model_validate(store.act({"merge": said.model_dump() | {"actor": actor}}))

    @app.post("/v1/undo", tags=["review"], responses=REFUSALS)
    def undo(said: models.UndoIn, actor: Reviewer) -> models.UndoneOut:
        """Take back a verdict, an annotation, a split or a merge."""
        wanted = said.model_dump() | {"actor": actor, STATE: True}
        return models.UndoneOut.model_validate(store.act({"undo": wanted}))

    @app.get("/v1/me", tags=["review"])
    def me(name: Annotated[str | None, Depends(who)]) -> models.MeOut:
        """Whom the token names."""
        return models.MeOut(name=name)


def _changes(kind: Kind, added: Iterable[str], removed: Iterable[str]) -> list[Change]:
    return [*(Change(kind, each) for each in added), *(Change(kind, each, True) for each in removed)]
