"""``gleaner incidents`` and ``gleaner preview``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from schemas.codec import encode
from schemas.signal import SignalName
from sinks.outbox import Outbox
from sinks.samples import SAMPLES
from streams.commands.fail import Failed
from streams.commands.incidents import app, preview
from streams.settings import Settings
from tests.incident.signals import alarm
from tests.notify.test_delivery import commit

CLI = CliRunner()


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """A state folder whose owner is still running."""
    outbox = Outbox.open(tmp_path / "notify.sqlite")
    await commit(Settings(state_dir=tmp_path), outbox, alarm("s1"))
    await commit(Settings(state_dir=tmp_path), outbox, alarm("s2", SignalName.COST, app="other-bot"))
    yield tmp_path
    outbox.close()


def test_list_and_show(state: Path) -> None:
    listed = CLI.invoke(app, ["list", "--state", str(state), "--json"], catch_exceptions=False)
    found = json.loads(listed.stdout)
    assert {one["app"] for one in found} == {"support-bot", "other-bot"}
    assert set(found[0]) >= {"id", "signal", "rule", "severity", "onset", "members", "cause"}
    assert "fell 0.92 → 0.80" in CLI.invoke(app, ["list", "--state", str(state)]).stdout
    one = CLI.invoke(app, ["list", "--state", str(state), "--json", "--app", "other-bot"])
    (other,) = json.loads(one.stdout)
    shown = CLI.invoke(app, ["show", other["id"][:13], "--state", str(state), "--json"])
    assert json.loads(shown.stdout) == other
    assert "Do first" in CLI.invoke(app, ["show", other["id"], "--state", str(state)]).stdout


def test_a_list_that_is_cut_says_by_how_many(state: Path) -> None:
    def last(*options: str) -> str:
        return CLI.invoke(app, ["list", "--state", str(state), *options]).stdout.splitlines()[-1]

    assert last("--limit", "1") == "and 1 more: --limit 2"
    assert "more" not in last("--limit", "2")
    assert "more" not in last("--limit", "1", "--app", "other-bot")


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["show", "nobody"], 1, "no such incident"),
        (["show", "%"], 1, "no such incident"),
        (["show", ""], 2, "no id"),
        (["show", " "], 2, "no id"),
    ],
)
def test_no_is_one_line(state: Path, arguments: list[str], status: int, says: str) -> None:
    failure = CLI.invoke(app, [*arguments, "--state", str(state)]).exception
    assert isinstance(failure, Failed)
    assert (failure.status, says in str(failure), "\n" in str(failure)) == (status, True, False)


def test_without_a_file(tmp_path: Path) -> None:
    failure = CLI.invoke(app, ["list", "--state", str(tmp_path)]).exception
    assert isinstance(failure, Failed)
    assert "has notify run" in str(failure)
    (tmp_path / "notify.sqlite").write_bytes(b"no database at all" * 100)
    assert isinstance(CLI.invoke(app, ["list", "--state", str(tmp_path)]).exception, Failed)


def test_preview(tmp_path: Path) -> None:
    cli = Typer()
    cli.command()(preview)
    assert "Faithfulness fell on billing-assistant" in CLI.invoke(cli, ["faithfulness"]).stdout
    whole, summary, page = tmp_path / "whole.json", tmp_path / "summary.json", tmp_path / "alert.html"
    whole.write_bytes(encode(SAMPLES["cost"]))
    summary.write_text(json.dumps({"incidents": [SAMPLES["cost"].summary()]}))
    for path in (whole, summary):
        made = CLI.invoke(cli, [str(path), "--json"], catch_exceptions=False)
        assert "cost per request on billing-assistant rose" in json.loads(made.stdout)["text"]
    assert CLI.invoke(cli, [str(whole), "--html", str(page)]).exit_code == 0
    assert "Lock screen" in page.read_text()


@pytest.mark.parametrize("content", ["", "[]", "{}", "3", '{"id": "x"}', '{"members": [{}]}'])
def test_preview_of_what_is_none(tmp_path: Path, content: str) -> None:
    cli = Typer()
    cli.command()(preview)
    path = tmp_path / "alert.json"
    path.write_text(content)
    failure = CLI.invoke(cli, [str(path)]).exception
    assert isinstance(failure, Failed)
    assert failure.status == 2
    assert isinstance(CLI.invoke(cli, ["nowhere.json"]).exception, Failed)
