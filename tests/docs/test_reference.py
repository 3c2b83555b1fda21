"""The committed reference is what the code says, and the documents' links lead somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from docs.make_reference import TARGET, commands, reference
from streams.cli import app

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md")), *sorted(ROOT.glob("examples/**/*.md"))]


def test_the_committed_reference_is_made_from_the_code() -> None:
    assert TARGET.read_text() == reference(), "run: python docs/make_reference.py"


def test_every_command_says_what_it_does_and_shows_an_example() -> None:
    for name, text in commands(app):
        assert text, name
        assert "Example: " in text, name


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_to_files_lead_to_files(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), f"{document.name} links to {target}"
