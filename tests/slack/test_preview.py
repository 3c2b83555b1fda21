"""``gleaner preview``: every kind of alert on the fake Slack's page, in one file."""

from __future__ import annotations

import html
import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from schemas.effect import EffectKind, NotifyReason
from sinks import words
from sinks.base import Message
from sinks.samples import SAMPLES, series
from sinks.slack.picture import sparkline
from sinks.slack.render import render
from streams.cli import app
from streams.commands.incidents import OFFER


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_saved_incident_is_shown_as_it_is(kind: str, tmp_path: Path) -> None:
    """What `incidents explain --json` prints holds all that the message says; so does what is stored."""
    incident = SAMPLES[kind]
    whole = json.loads(incident.model_dump_json())
    path = tmp_path / "incident.json"
    for value in ({"incident": whole, "commands": []}, whole):
        path.write_text(json.dumps(value))
        done = CliRunner().invoke(app, ["preview", str(path), "--json"])
        assert done.exit_code == 0, done.output
        message = Message("preview", EffectKind.POST, NotifyReason.FIRST, incident)
        assert json.loads(done.output) == json.loads(json.dumps(render(message, OFFER)))


@pytest.mark.parametrize("kind", SAMPLES)
def test_every_kind_as_slack_would_show_it(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "alert.html"
    done = CliRunner().invoke(app, ["preview", kind, "--html", str(target), "--json"])
    assert done.exit_code == 0, done.output
    page = target.read_text(encoding="utf-8")
    incident = SAMPLES[kind]
    assert html.escape(words.title(incident)) in page
    assert "<script" not in page
    assert "class=ping" not in page
    drawn = sparkline(series(incident), incident)
    assert ("data:image/png;base64," in page) == bool(drawn)
    payload = json.loads(done.output[done.output.index("{") :])
    assert payload["text"] == words.headline(incident)
    if drawn:
        assert html.escape(drawn) in page
