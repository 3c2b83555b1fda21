"""What a request to forget takes out of releases beside cases: conditions, and folders of no release."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sinks.evalstore import Forget, Kind, StoreOwner
from sinks.evalstore.backup import backups_of, make_backup
from sinks.evalstore.mentions import GONE
from sinks.evalstore.releases.bundle import read_bundle, releases_of
from sinks.evalstore.releases.freezing import Freeze, list_releases
from streams.cli import app
from tests.evalstore.releases.test_freeze import failure
from tests.evalstore.samples import MARCH

LATER = MARCH + 10**9


def holding(folder: Path, text: bytes) -> list[str]:
    return sorted(
        str(file.relative_to(folder))
        for file in folder.rglob("*")
        if file.is_file() and text in file.read_bytes()
    )


def filled(path: Path) -> StoreOwner:
    owner = StoreOwner.open(path)
    owner.write([failure(n) for n in range(3)], now=MARCH)
    owner.publish(MARCH)
    return owner


def freeze(owner: StoreOwner, name: str, **options: str) -> None:
    owner.freeze(Freeze(name, (failure(2).case_id,), options), MARCH)


@pytest.mark.parametrize(("user", "written"), [("u-1", "u-1"), ("o'neil", "o''neil")])
def test_a_condition_that_names_the_id_is_blanked(tmp_path: Path, user: str, written: str) -> None:
    """In the table, snapshots, backups, and the release's files; its cases stay as they are."""
    path = tmp_path / "store.duckdb"
    owner = filled(path)
    condition = f"route = 'chat' AND user_id = '{written}'"
    freeze(owner, "named", where=condition, tier="golden")
    freeze(owner, "desk", where=condition, app="desk")
    freeze(owner, "other", where=f"user_id = 'x{written}'")
    owner.publish(MARCH)
    make_backup(path, backups_of(path), MARCH)
    before = {one.release: one for one in list_releases(owner._con)}
    done = owner.forget(Forget(Kind.USER, user, "shop"), LATER)
    assert done.mentions == 1, "and not the one that was narrowed to another app"
    assert owner.forget(Forget(Kind.USER, user), LATER + 1).mentions == 1
    releases = {one.release: one for one in list_releases(owner._con)}
    assert releases["named"] == before["named"]._replace(options={"where": GONE, "tier": "golden"})
    assert releases["desk"].options == {"where": GONE, "app": "desk"}
    assert releases["other"] == before["other"]
    for name, release in releases.items():
        bundle = read_bundle(releases_of(path) / name)
        assert (bundle.frozen, bundle.intact) == (release, True)
    owner.close()
    freeze_of = json.dumps(f"= '{written}'")[1:-1].encode()
    assert holding(tmp_path, freeze_of) == []


def test_folders_of_no_release_go(tmp_path: Path) -> None:
    """An older backup, restored under the store's name, does not know what was frozen after it."""
    path = tmp_path / "store.duckdb"
    owner = filled(path)
    freeze(owner, "known")
    owner.publish(MARCH)
    backup = make_backup(path, tmp_path / "elsewhere", MARCH)
    ids = tuple(failure(n).case_id for n in range(3))
    owner.freeze(Freeze("2026.11", ids, {}), MARCH)
    owner.close()
    text = str((failure(1).trace or {})["question"]).encode()
    folder = releases_of(path)
    assert {Path(file).parts[0] for file in holding(folder, text)} == {"2026.11"}
    os.rename(path, tmp_path / "elsewhere" / "broken")
    said = CliRunner().invoke(app, ["backup", "restore", str(backup.path), "--store", str(path)])
    assert said.exit_code == 0
    assert "store.duckdb.releases holds what the backup knows no release of: 2026.11." in said.stderr
    with StoreOwner.open(path) as owner:
        assert [stray.name for stray in owner.strays()] == ["2026.11"], "nothing is lost by a restore"
        owner.forget(Forget(Kind.USER, "u-1"), LATER)
        assert owner.strays() == []
    assert [each.name for each in folder.iterdir()] == ["known"]
    assert read_bundle(folder / "known").intact
    left = [file for file in holding(tmp_path, text) if not file.startswith("elsewhere/")]
    assert left == []
