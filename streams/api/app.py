"""Which address answers what. Reads see what is committed; what people say is done by the store's owner."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import FastAPI, HTTPException, Request
from fastapi import Query as Parameter
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException as StarletteHTTPException

from schemas.base import parse_time
from sinks.evalstore import find_case, totals
from sinks.evalstore.errors import (
    BadCursor,
    BadQuery,
    BadRequest,
    NoStore,
    NoSuchCase,
    QueriesBusy,
    StoreError,
    UnclearCase,
)
from sinks.evalstore.pages import (
    CASES,
    CLUSTERS,
    INCIDENTS,
    MOST,
    RELEASE_CASES,
    RELEASES,
    SIGNALS,
    Listing,
    page,
)
from sinks.evalstore.releases.agreement import agreements
from sinks.evalstore.review_state import annotations_on, verdicts_on
from streams.api import models
from streams.api.actions import CaseId, add_actions
from streams.api.store import Store

STATUS: dict[type[StoreError], int] = {
    NoSuchCase: 404,
    UnclearCase: 409,
    BadRequest: 409,
    BadQuery: 400,
    QueriesBusy: 429,
    BadCursor: 400,
    NoStore: 503,
}

Cursor = Annotated[str | None, Parameter(description="`next` of the page before, with the same filters")]
Limit = Annotated[int, Parameter(ge=1, le=MOST, description="Items of the page at most")]
App = Annotated[str | None, Parameter(description="Only this application")]
Environment = Annotated[str | None, Parameter()]
Route = Annotated[str | None, Parameter()]
Reason = Annotated[str | None, Parameter(description="Only with this reason, such as low_score")]
Since = Annotated[str | None, Parameter(description="Not before: RFC 3339")]
Until = Annotated[str | None, Parameter(description="Before: RFC 3339")]
Verdict = Annotated[
    Literal["accepted", "dismissed", "none"] | None, Parameter(description="The latest on its cluster")
]
Label = Annotated[str | None, Parameter(description="Only with this label")]
Assigned = Annotated[str | None, Parameter(description="Only assigned to this reviewer; `none`: to nobody")]


def make_app(store: Store) -> FastAPI:
    """The application, without its guard. Every function here runs in a thread of a pool."""
    app = FastAPI(
        title="Gleaner's eval store",
        version="1",
        description="Failing cases, releases, signals, incidents; lists come in pages with keyset cursors.",
        docs_url=None,  # these pages would load scripts from elsewhere
        redoc_url=None,
        openapi_url="/openapi.json",
        responses={
            401: {"model": models.Fault, "description": "No token, or a wrong one"},
            422: {"model": models.Fault, "description": "A value of the wrong kind, and which"},
        },
    )
    _faults(app)
    _lists(app, store)
    _details(app, store)
    add_actions(app, store)
    _sql(app, store)
    return app


def _faults(app: FastAPI) -> None:
    @app.exception_handler(StoreError)
    def refused(request: Request, error: StoreError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, STATUS.get(type(error), 503))

    # Starlette's own, of which FastAPI's is one: no such path, another method.
    @app.exception_handler(StarletteHTTPException)
    def said(request: Request, error: StarletteHTTPException) -> JSONResponse:
        return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)

    # The log has it: the server tells it there once this has answered.
    @app.exception_handler(Exception)
    def failed(request: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": f"{type(error).__name__}: see the log of `gleaner store`"}, 500)

    @app.exception_handler(RequestValidationError)
    def wrong(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        return JSONResponse({"error": f"{where}: {first['msg']}"}, 422)


def _lists(app: FastAPI, store: Store) -> None:
    def some(listing: Listing, limit: int, cursor: str | None, **wanted: Any) -> dict[str, Any]:
        for name in ("since", "until"):
            if wanted.get(name) is not None:
                wanted[name] = _time(name, wanted[name])
        with store.reading() as con:
            return page(con, listing, wanted, limit, cursor)._asdict()

    @app.get("/v1/cases", tags=["cases"])
    def list_cases(
        app: App = None,
        environment: Environment = None,
        route: Route = None,
        reason: Reason = None,
        since: Since = None,
        until: Until = None,
        q: Annotated[
            str | None, Parameter(description="In question, answer, contexts, correction or ids")
        ] = None,
        release: Annotated[str | None, Parameter(description="The release that its trace names")] = None,
        prompt_version: Annotated[str | None, Parameter()] = None,
        cluster_id: Annotated[str | None, Parameter()] = None,
        replayable: Annotated[bool | None, Parameter()] = None,
        verdict: Verdict = None,
        label: Label = None,
        assigned: Assigned = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.PageOf[models.CaseItem]:
        """Failing cases, the newest first."""
        return models.PageOf[models.CaseItem].model_validate(
            some(
                CASES,
                limit,
                cursor,
                app=app,
                environment=environment,
                route=route,
                reason=reason,
                since=since,
                until=until,
                q=q,
                release=release,
                prompt_version=prompt_version,
                cluster_id=cluster_id,
                replayable=replayable,
                verdict=verdict,
                label=label,
                assigned=assigned,
            )
        )

    @app.get("/v1/clusters", tags=["review"])
    def list_clusters(
        app: App = None,
        reason: Reason = None,
        verdict: Verdict = None,
        not_by: Annotated[str | None, Parameter(description="Without a verdict by this reviewer")] = None,
        label: Label = None,
        assigned: Assigned = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.PageOf[models.ClusterItem]:
        """Failures, the highest rank first: the review queue is `verdict=none`."""
        about = {"app": app, "reason": reason, "label": label, "assigned": assigned}
        found = some(CLUSTERS, limit, cursor, **about, verdict=verdict, not_by=not_by)
        return models.PageOf[models.ClusterItem].model_validate(found)

    @app.get("/v1/signals", tags=["signals"])
    def list_signals(
        app: App = None,
        environment: Environment = None,
        route: Route = None,
        signal: Annotated[str | None, Parameter()] = None,
        rule: Annotated[str | None, Parameter()] = None,
        severity: Annotated[str | None, Parameter()] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.PageOf[models.SignalItem]:
        """Alarms, the latest first."""
        segment = {"app": app, "environment": environment, "route": route}
        about = {"signal": signal, "rule": rule, "severity": severity, "since": since, "until": until}
        found = some(SIGNALS, limit, cursor, **segment, **about)
        return models.PageOf[models.SignalItem].model_validate(found)

    @app.get("/v1/incidents", tags=["signals"])
    def list_incidents(
        app: App = None,
        environment: Environment = None,
        route: Route = None,
        signal: Annotated[str | None, Parameter()] = None,
        severity: Annotated[str | None, Parameter()] = None,
        state: Annotated[str | None, Parameter()] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 50,
        cursor: Cursor = None,
    ) -> models.PageOf[models.IncidentItem]:
        """Incidents at their latest revision, the latest first."""
        segment = {"app": app, "environment": environment, "route": route}
        about = {"signal": signal, "severity": severity, "state": state, "since": since, "until": until}
        found = some(INCIDENTS, limit, cursor, **segment, **about)
        return models.PageOf[models.IncidentItem].model_validate(found)

    @app.get("/v1/releases", tags=["releases"])
    def list_releases(limit: Limit = 50, cursor: Cursor = None) -> models.PageOf[models.ReleaseItem]:
        """Frozen sets, the latest first."""
        return models.PageOf[models.ReleaseItem].model_validate(some(RELEASES, limit, cursor))

    @app.get("/v1/releases/{release}/cases", tags=["releases"])
    def list_release_cases(
        release: str, limit: Limit = 50, cursor: Cursor = None
    ) -> models.PageOf[models.ReleaseCase]:
        """The cases of a frozen set, in its order."""
        with store.reading() as con:
            if not page(con, RELEASES, {"release": release}, 1).items:
                raise HTTPException(404, f"no such release: {release}")
            found = page(con, RELEASE_CASES, {"release": release}, limit, cursor)
        return models.PageOf[models.ReleaseCase].model_validate(found._asdict())


def _details(app: FastAPI, store: Store) -> None:
    @app.get("/v1/cases/{case_id}", tags=["cases"], responses={404: {"model": models.Fault}})
    def get_case(case_id: CaseId) -> models.CaseWhole:
        """One case whole."""
        with store.reading() as con:
            found = find_case(con, case_id)
            row = con.execute(
                "SELECT verdict FROM cluster_reviews WHERE cluster_id = ?", [found["cluster_id"]]
            ).fetchone()
        return models.CaseWhole.model_validate(found | {"verdict": row[0] if row else None})

    @app.get("/v1/clusters/{cluster_id}", tags=["review"], responses={404: {"model": models.Fault}})
    def get_cluster(cluster_id: str) -> models.ClusterWhole:
        """One cluster, with what reviewers said of it. Its cases: `/v1/cases?cluster_id=`."""
        whole = CLUSTERS._replace(filters={"cluster_id": "cluster_id = $cluster_id"})
        with store.reading() as con:
            found = page(con, whole, {"cluster_id": cluster_id}, 1).items
            verdicts = verdicts_on(con, cluster_id)
            annotations = annotations_on(con, cluster_id)
        if not found:
            raise HTTPException(404, f"no such cluster: {cluster_id}")
        said = {"verdicts": verdicts, "annotations": annotations}
        return models.ClusterWhole.model_validate(found[0] | said)

    @app.get("/v1/agreement", tags=["review"])
    def get_agreement() -> list[models.AgreementItem]:
        """How far every two reviewers agree."""
        with store.reading() as con:
            return [models.AgreementItem.model_validate(each._asdict()) for each in agreements(con)]

    @app.get("/v1/totals", tags=["cases"])
    def get_totals() -> models.TotalsOut:
        """How much there is."""
        with store.reading() as con:
            return models.TotalsOut.model_validate(totals(con)._asdict())


def _sql(app: FastAPI, store: Store) -> None:
    @app.post(
        "/v1/sql",
        tags=["sql"],
        response_model=models.Rows,
        responses={400: {"model": models.Fault}, 429: {"model": models.Fault}},
    )
    def sql(wanted: models.Query) -> Response:
        """Somebody's own SELECT, on the newest snapshot."""
        rows = store.query(wanted.query, seconds=wanted.seconds, limit=wanted.limit)
        return Response(rows, media_type="application/json")


def _time(name: str, text: str) -> int:
    try:
        return parse_time(text)
    except ValueError as error:
        raise HTTPException(422, f"query.{name}: {error}") from error
