"""A frozen release as files that need no store: ``cases.jsonl``, ``cases.parquet``, ``manifest.json``.

``store.duckdb.releases/V/`` holds those of release V. Its hash is that of ``cases.jsonl``: ``sha256sum`` says
whether somebody touched it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import duckdb
from duckdb import DuckDBPyConnection

from schemas.base import rfc3339
from sinks.evalstore.errors import StoreError
from sinks.evalstore.releases.freezing import Frozen, list_releases, release_lines
from sinks.evalstore.releases.record import content_hash

SUFFIX = ".releases"
MANIFEST = "manifest.json"
LINES = "cases.jsonl"
TABLE = "cases.parquet"
FORMAT = 1
UNFINISHED = ".new-"

PARQUET = {
    "case_id": "VARCHAR",
    "cluster_id": "VARCHAR",
    "cluster_size": "BIGINT",
    "app": "VARCHAR",
    "environment": "VARCHAR",
    "route": "VARCHAR",
    "trace_id": "VARCHAR",
    "ts": "VARCHAR",
    "reasons": "VARCHAR[]",
    "severity": "INTEGER",
    "critical": "BOOLEAN",
    "question": "VARCHAR",
    "messages": "VARCHAR",
    "contexts": 'STRUCT(id VARCHAR, "text" VARCHAR, score DOUBLE)[]',
    "answer": "VARCHAR",
    "expected_answer": "VARCHAR",
    "provider": "VARCHAR",
    "model": "VARCHAR",
    "served_model": "VARCHAR",
    "prompt_version": "VARCHAR",
    "index_version": "VARCHAR",
    "release": "VARCHAR",
    "score": "DOUBLE",
    "scorer": "VARCHAR",
    "cost_usd": "DOUBLE",
    "content_hash": "VARCHAR",
    "trace": "VARCHAR",
    "expected_from": "VARCHAR",
    "labels": "VARCHAR[]",
    "must": "VARCHAR[]",
    "must_not": "VARCHAR[]",
    "cluster_reasons": "VARCHAR[]",
}
"""The columns of a Parquet file of cases; ``messages`` and ``trace`` are JSON text."""
AS_JSON = ("messages", "trace")
TEXT, MAYBE = (str,), (str, type(None))
FIELDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("case_id", "cluster_id", "app"), TEXT),
    **dict.fromkeys(("question", "answer", "expected_answer", "model"), MAYBE),
    "reasons": (list,),
    "severity": (int,),
    "critical": (bool,),
    "messages": (list, type(None)),
}
"""What whoever reads a frozen case relies on, and of which type it is."""
FROZEN: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("release", "sha256"), TEXT),
    **dict.fromkeys(("frozen_at", "cases", "forgotten"), (int,)),
    "options": (dict,),
}


class Release(NamedTuple):
    """A frozen set as it was read. ``intact``: its lines still have the hash that it was frozen with."""

    frozen: Frozen
    cases: list[dict[str, Any]]
    intact: bool


def releases_of(store: Path) -> Path:
    """The directory beside the store that holds its releases' bundles."""
    return store.with_name(store.name + SUFFIX)


def load(frozen: Frozen, lines: Sequence[str], where: str = "") -> Release:
    """Raises ``StoreError`` naming the line (``where:3``) and the field that is not as it should be."""
    where = where or f"release {frozen.release}"
    cases = [_case(each, f"{where}:{at}") for at, each in enumerate(lines, 1)]
    return Release(frozen, cases, content_hash(lines) == frozen.sha256)


def _case(line: str, where: str) -> dict[str, Any]:
    try:
        case = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{where}: is no JSON: {error}. {AGAIN}") from None
    _check(case, FIELDS, where)
    if not all(isinstance(reason, str) for reason in case["reasons"]):
        raise StoreError(f"{where}: reasons are not texts. {AGAIN}")
    return dict(case)


def _check(found: Any, fields: dict[str, tuple[type, ...]], where: str) -> None:
    if not isinstance(found, dict):
        raise StoreError(f"{where}: is no JSON object. {AGAIN}")
    for name, types in fields.items():
        if name not in found:
            raise StoreError(f"{where}: has no {name}. {AGAIN}")
        if type(found[name]) not in types:
            raise StoreError(f"{where}: {name} is {json.dumps(found[name])[:40]}. {AGAIN}")


AGAIN = "Copy the release's folder again from the store"


def read_bundle(directory: Path) -> Release:
    """A release from its files; raises ``StoreError`` where they cannot be read."""
    try:
        manifest = json.loads((directory / MANIFEST).read_text(encoding="utf-8"))
        lines = (directory / LINES).read_text(encoding="utf-8").split("\n")[:-1]
    except (OSError, ValueError, RecursionError) as error:
        raise StoreError(f"{directory} holds no release that can be read: {error}") from None
    _check(manifest, FROZEN, str(directory / MANIFEST))
    return load(Frozen(*(manifest[name] for name in Frozen._fields)), lines, str(directory / LINES))


def settle(con: DuckDBPyConnection, store: Path) -> list[str]:
    """Make the bundles beside a store those of its releases; the releases whose files were written.

    What has the right hash and options is left alone: a second call writes nothing, and one after a crash, or
    after cases were forgotten, what is missing. So are folders of no release: see ``strays``.
    """
    written = []
    directory = releases_of(store)
    for left in directory.glob(f"{UNFINISHED}*"):
        shutil.rmtree(left)
    for frozen in list_releases(con):
        target = directory / frozen.release
        if _written(target / MANIFEST) != frozen._asdict():
            write_bundle(frozen, release_lines(con, frozen.release), target)
            written.append(frozen.release)
    return written


def strays(con: DuckDBPyConnection, store: Path) -> list[Path]:
    """What lies among the bundles and is of none of the store's releases.

    An older backup, restored under the store's name, knows nothing of the releases that were frozen after it.
    Nor can it be told whose cases are in them: a frozen case names no user.
    """
    known = {frozen.release for frozen in list_releases(con)}
    found = sorted(releases_of(store).glob("*"))
    return [path for path in found if path.name not in known and not path.name.startswith(UNFINISHED)]


def discard_strays(con: DuckDBPyConnection, store: Path) -> None:
    """Delete them: one may hold whom or what was forgotten."""
    for path in strays(con, store):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def write_bundle(frozen: Frozen, lines: Sequence[str], target: Path) -> None:
    """The three files, all or none of them; what was there goes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.parent / f"{UNFINISHED}{uuid.uuid4().hex}"
    unfinished.mkdir()
    (unfinished / LINES).write_text("".join(each + "\n" for each in lines), encoding="utf-8", newline="\n")
    write_parquet([json.loads(each) for each in lines], unfinished / TABLE)
    files = {
        name: {"bytes": (unfinished / name).stat().st_size, "sha256": _digest(unfinished / name)}
        for name in (LINES, TABLE)
    }
    manifest = {
        **frozen._asdict(),
        "frozen": rfc3339(frozen.frozen_at),
        "format": FORMAT,
        "files": files,
    }
    (unfinished / MANIFEST).write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")
    for file in unfinished.iterdir():
        file.chmod(0o444)  # frozen: an editor asks before it writes
        _sync(file)
    if target.exists():
        shutil.rmtree(target)
    os.rename(unfinished, target)
    _sync(target.parent)


def write_parquet(cases: Sequence[dict[str, Any]], path: Path) -> None:
    """Cases as one Parquet file, compressed with zstd, in their order."""
    with duckdb.connect(":memory:") as con:
        columns = ", ".join(f'"{name}" {kind}' for name, kind in PARQUET.items())
        con.execute(f"CREATE TABLE cases ({columns})")
        if cases:
            marks = ", ".join("?" * len(PARQUET))
            con.begin()
            con.executemany(f"INSERT INTO cases VALUES ({marks})", [_values(case) for case in cases])  # noqa: S608
            con.commit()
        target = str(path).replace("'", "''")
        con.execute(f"COPY cases TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def _values(case: dict[str, Any]) -> list[Any]:
    # A case that an earlier Gleaner froze lacks what reviewers write.
    found = {name: case.get(name) for name in PARQUET}
    return [
        json.dumps(value, ensure_ascii=False) if name in AS_JSON and value is not None else value
        for name, value in found.items()
    ]


def _written(manifest: Path) -> dict[str, Any] | None:
    """What a manifest says of its release, as ``Frozen`` has it; None where there is none."""
    try:
        found = json.loads(manifest.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return {name: found.get(name) for name in Frozen._fields} if isinstance(found, dict) else None


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
