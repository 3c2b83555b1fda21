"""The questions of docs/evalstore.md, asked of a store."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from sinks.evalstore import StoreOwner, open_for_reading, run_query
from tests.evalstore.samples import MARCH, make_case, make_window

PAGE = Path(__file__).parents[2] / "docs" / "evalstore.md"
QUERIES = re.findall(r"```sql\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("docs") / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write(
            [make_case(1, score={"scorer": "offline", "value": 0.2}, expected_answer="30 days")],
            windows=[make_window(0, 0.2)],
            now=MARCH,
        )
    return path


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_page_has_an_answer(store: Path, query: str) -> None:
    with open_for_reading(store, MARCH) as con:
        assert run_query(con, query).rows


def test_every_table_and_view_is_on_the_page(store: Path) -> None:
    page = PAGE.read_text(encoding="utf-8")
    with open_for_reading(store, MARCH) as con:
        names = [row[0] for row in run_query(con, "SHOW TABLES").rows]
    assert [name for name in names if f"`{name}`" not in page] == []
    assert len(QUERIES) >= 5


@pytest.mark.parametrize("view", ["windows", "signals_rolling", "segments_rolling"])
def test_every_column_of_a_rolling_view_is_on_the_page(store: Path, view: str) -> None:
    page = PAGE.read_text(encoding="utf-8")
    with open_for_reading(store, MARCH) as con:
        columns = [row[0] for row in run_query(con, f"DESCRIBE {view}").rows]
    assert [column for column in columns if f"`{column}`" not in page] == []
