"""The helper for notebooks, and the notebook itself, run from its first cell to its last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from sinks.evalstore import StoreOwner
from sinks.evalstore.errors import BadQuery, NoStore
from sinks.evalstore.frames import open_store
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH, make_case

NOTEBOOK = Path(__file__).parents[2] / "examples" / "notebook" / "failures.ipynb"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "store.duckdb"
    with StoreOwner.open(path) as owner:
        owner.write([*(failure(n) for n in range(5)), make_case(9, app="desk")], now=MARCH)
        owner.publish(MARCH)
    return path


def test_the_same_rows_in_every_shape(path: Path) -> None:
    with open_store(path) as store:
        query = store.query("SELECT case_id, app, ts FROM case_list WHERE app = ? ORDER BY case_id", ["shop"])
        rows = query.rows()
        assert len(rows) == 5
        ids = [row[0] for row in rows]
        assert query.arrow().column("case_id").to_pylist() == ids
        assert query.polars()["case_id"].to_list() == ids
        frame = query.pandas()
        assert frame["case_id"].tolist() == ids
        assert str(frame["ts"].dt.tz) == "UTC"
        hostile = store.cases("app = $app", {"app": "'; DROP TABLE cases; --"})
        assert hostile.arrow().num_rows == 0
        assert store.cases().arrow().num_rows == 6


def test_what_it_refuses(path: Path, tmp_path: Path) -> None:
    with pytest.raises(NoStore):
        open_store(tmp_path / "none.duckdb")
    with open_store(path) as store:
        for sql in ("DROP TABLE cases", "SELECT 1; SELECT 2", "SELECT nothing FROM case_list", "SELEC 1"):
            with pytest.raises(BadQuery) as refusal:
                store.query(sql).rows()
            assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("shape", ["rows", "arrow", "polars", "pandas"])
def test_what_fails_only_as_it_is_fetched_is_refused_in_one_line(path: Path, shape: str) -> None:
    with open_store(path) as store:
        query = store.query("SELECT CAST(app AS INTEGER) FROM case_list")
        with pytest.raises(BadQuery, match=r"^Conversion Error: Could not convert") as refusal:
            getattr(query, shape)()
    assert "\n" not in str(refusal.value)


def test_it_keeps_nobody_from_writing_and_refreshes(path: Path) -> None:
    with open_store(path) as store:
        with StoreOwner.open(path) as owner:
            owner.write([failure(50)], now=MARCH)
            owner.publish(MARCH)
        assert store.cases().arrow().num_rows == 6, "as it was when it was opened"
        store.refresh()
        assert store.cases().arrow().num_rows == 7


@pytest.mark.slow
def test_the_notebook_runs(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import nbformat
    from nbclient import NotebookClient

    monkeypatch.setenv("GLEANER_NOTEBOOK_STORE", str(path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)  # type: ignore[no-untyped-call]
    committed = json.loads(NOTEBOOK.read_text())
    assert not any(cell.get("outputs") for cell in committed["cells"]), "commit it without outputs"
    done = NotebookClient(notebook, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    shown = [out for cell in done.cells for out in cell.get("outputs", ())]
    assert {out["output_type"] for out in shown} == {"execute_result"}
    assert "shop" in str(shown)
