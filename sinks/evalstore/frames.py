"""The eval store from a notebook: queries whose answers are Arrow tables, Polars or pandas frames.

>>> store = open_store("gleaner-data/store.duckdb")      # doctest: +SKIP
>>> store.query("SELECT app, count(*) AS n FROM case_list GROUP BY app").polars()      # doctest: +SKIP
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import duckdb
from duckdb import DuckDBPyConnection

from sinks.evalstore.access import open_for_reading
from sinks.evalstore.errors import BadQuery
from sinks.evalstore.query import checked, short

if TYPE_CHECKING:
    import pandas
    import polars
    import pyarrow

Shape = TypeVar("Shape")


class Query:
    """One SELECT, run anew for every answer that is asked of it; all its rows.

    Needs pyarrow, for frames polars or pandas, too: the extra ``frames``. Raises ``BadQuery`` in one line.
    """

    def __init__(
        self, con: DuckDBPyConnection, sql: str, values: Sequence[Any] | Mapping[str, Any] | None
    ) -> None:
        self._con, self._sql, self._values = con, sql, values

    def arrow(self) -> pyarrow.Table:
        return self._answer(lambda found: found.to_arrow_table())

    def polars(self) -> polars.DataFrame:
        frame: polars.DataFrame = self._answer(lambda found: found.pl())
        return frame

    def pandas(self) -> pandas.DataFrame:
        # Not the relation's own way: it rests on what pandas 3 is about to remove.
        frame: pandas.DataFrame = self.arrow().to_pandas()
        return frame

    def rows(self) -> list[tuple[Any, ...]]:
        """Without any library: the rows as tuples."""
        return self._answer(lambda found: found.fetchall())

    def _answer(self, fetch: Callable[[duckdb.DuckDBPyRelation], Shape]) -> Shape:
        """Many a query fails only as its rows are fetched."""
        checked(self._con, self._sql)
        try:
            return fetch(self._con.sql(self._sql, params=self._values))
        except duckdb.Error as error:
            raise BadQuery(short(error)) from None


class ReadStore:
    """The newest snapshot of a store, as it was when this was opened; ``refresh`` takes the newest again.

    Never the live file: whoever holds this open keeps nobody from writing. For rows that are younger than a
    snapshot (``snapshot_seconds``) ask the HTTP API.
    """

    def __init__(self, store: Path) -> None:
        self._store = store
        self._con = open_for_reading(store, _now())

    def query(self, sql: str, values: Sequence[Any] | Mapping[str, Any] | None = None) -> Query:
        """One SELECT; ``values`` are for ``?`` or ``$name`` in it, where foreign text belongs."""
        return Query(self._con, sql, values)

    def cases(self, where: str = "true", values: Sequence[Any] | Mapping[str, Any] | None = None) -> Query:
        """The rows of ``case_list`` for which a condition holds, the newest first."""
        return self.query(f"SELECT * FROM case_list WHERE {where} ORDER BY ts DESC, case_id", values)  # noqa: S608

    def refresh(self) -> None:
        self._con.close()
        self._con = open_for_reading(self._store, _now())

    def close(self) -> None:
        self._con.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(store: str | Path) -> ReadStore:
    """A store to read, by its file or a copied directory of snapshots. Raises ``NoStore``."""
    return ReadStore(Path(store))


def _now() -> int:
    return time.time_ns() // 1_000_000
