"""docs/alerting.md names what exists."""

from __future__ import annotations

from pathlib import Path

from schemas.effect import NotifyReason
from sinks import words
from sinks.samples import SAMPLES
from streams.settings import Settings

TEXT = (Path(__file__).parents[2] / "docs" / "alerting.md").read_text(encoding="utf-8")


def test_reasons_settings_and_samples_are_documented() -> None:
    for reason in NotifyReason:
        assert f"`{reason.value}`" in TEXT
    for name in Settings.model_fields:
        if name.startswith(("slack_", "incident_", "group_wait")):
            assert f"GLEANER_{name.upper()}" in TEXT
    for name in SAMPLES:
        assert name in TEXT
    assert words.headline(SAMPLES["faithfulness"]) in TEXT
