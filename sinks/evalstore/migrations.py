"""``schema/NNNN_name.sql``, applied once each, in order, each in a transaction, with checksums.

Additive only: a table may gain a column, a view may change, nothing that was written is rewritten. The
owner migrates when it opens the file; readers only compare versions.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files
from typing import NamedTuple

from duckdb import CatalogException, DuckDBPyConnection

from sinks.evalstore.errors import StoreMismatch


class Migration(NamedTuple):
    version: int
    name: str
    sql: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Those of this package, in order; the file names are ``NNNN_name.sql``."""
    found = []
    for file in files(__package__).joinpath("schema").iterdir():
        if file.name.endswith(".sql"):
            number, _, name = file.name.removesuffix(".sql").partition("_")
            found.append(Migration(int(number), name, file.read_text(encoding="utf-8")))
    return sorted(found)


def applied(con: DuckDBPyConnection) -> dict[int, str]:
    """Version to checksum of what a store has had applied; empty for a file that is no eval store."""
    try:
        return dict(con.execute("SELECT version, sha256 FROM schema_migrations").fetchall())
    except CatalogException:
        return {}


def migrate(con: DuckDBPyConnection, steps: list[Migration] | None = None) -> list[int]:
    """Apply what is missing; the versions that were applied now.

    Raises ``StoreMismatch`` where the store is newer than this package, or a migration was edited after
    it had been applied: going on would write rows that their readers misread.
    """
    steps = migrations() if steps is None else steps
    done = applied(con)
    check(done, steps)
    fresh = [step for step in steps if step.version not in done]
    if not done and _foreign(con):
        raise StoreMismatch("the file holds tables of something else: name another file for the eval store")
    for step in fresh:
        con.begin()
        try:
            con.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations (version INTEGER PRIMARY KEY, "
                "name VARCHAR NOT NULL, sha256 VARCHAR NOT NULL, applied TIMESTAMPTZ NOT NULL)"
            )
            con.execute(step.sql)
            con.execute(
                "INSERT INTO schema_migrations VALUES (?, ?, ?, now())",
                [step.version, step.name, step.sha256],
            )
            con.commit()
        except BaseException:
            con.rollback()
            raise
        # A log that mixes old and new shapes of a table has been replayed wrongly before.
        con.execute("CHECKPOINT")
    return [step.version for step in fresh]


def check(done: dict[int, str], steps: list[Migration]) -> None:
    """Raise ``StoreMismatch`` unless what was applied are the first of these steps, unedited."""
    known = {step.version: step for step in steps}
    for version, sha256 in sorted(done.items()):
        if version not in known:
            raise StoreMismatch(
                f"the store has schema version {version}, this Gleaner reads {max(known)}: upgrade it"
            )
        if known[version].sha256 != sha256:
            raise StoreMismatch(
                f"migration {version:04d}_{known[version].name} was edited after this store had applied it: "
                "use the Gleaner that wrote the store, and add a new migration instead"
            )


def _foreign(con: DuckDBPyConnection) -> bool:
    mine = "SELECT count(*) FROM duckdb_tables() WHERE database_name = current_database()"
    row = con.execute(mine).fetchone()
    return bool(row and row[0])
