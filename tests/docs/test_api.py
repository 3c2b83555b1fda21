"""The API's description and the views' pages are what the code says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from docs.make_openapi import TARGET, openapi
from sinks.evalstore import StoreOwner
from sinks.evalstore.pages import CASES, CLUSTERS, INCIDENTS, RELEASE_CASES, RELEASES, SIGNALS
from streams.api import models

ROOT = Path(__file__).parents[2]
DESCRIBED_ELSEWHERE = {"windows", "signals_rolling", "segments_rolling"}
SAME_AS = {"cluster_found": "cluster_of", "cluster_verdicts": "cluster_reviews"}


def test_the_committed_description_is_made_from_the_models() -> None:
    assert TARGET.read_text(encoding="utf-8") == openapi(), "run: python docs/make_openapi.py"


def test_every_address_is_on_the_page() -> None:
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    for path, operations in json.loads(openapi())["paths"].items():
        for method, operation in operations.items():
            assert f"`{method.upper()} {path}`" in page
            assert operation.get("description"), path
            for parameter in operation.get("parameters", ()):
                if parameter["name"] not in ("app", "environment", "route", "signal", "severity"):
                    assert f"`{parameter['name']}`" in page or f"{{{parameter['name']}}}" in page


@pytest.mark.parametrize(
    ("listing", "model"),
    [
        (CASES, models.CaseItem),
        (CLUSTERS, models.ClusterItem),
        (SIGNALS, models.SignalItem),
        (INCIDENTS, models.IncidentItem),
        (RELEASES, models.ReleaseItem),
        (RELEASE_CASES, models.ReleaseCase),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_list_gives_what_its_model_describes(listing: object, model: type[models.Out]) -> None:
    assert set(getattr(listing, "columns")) == set(model.model_fields)  # noqa: B009


def test_every_column_of_every_view_is_explained(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "views.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:]}
    with StoreOwner.open(tmp_path / "store.duckdb") as owner:
        query = "SELECT view_name FROM duckdb_views() WHERE NOT internal AND database_name = 'store'"
        views = {str(row[0]) for row in owner._con.execute(query).fetchall()}
        assert views == set(sections) | set(SAME_AS) | DESCRIBED_ELSEWHERE
        for view in views - DESCRIBED_ELSEWHERE:
            section = sections[SAME_AS.get(view, view)]
            columns = [str(row[0]) for row in owner._con.execute(f"DESCRIBE {view}").fetchall()]
            assert [name for name in columns if f"`{name}`" not in section] == [], view
