"""Writes docs/reference.md: commands, settings, topics, from the code that defines them.

python docs/make_reference.py          # a test holds the committed file to this output
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import typer
from pydantic_core import PydanticUndefined

from schemas.topics import TOPICS
from streams.cli import app
from streams.settings import Settings

TARGET = Path(__file__).parent / "reference.md"


def commands(group: typer.Typer, prefix: str = "gleaner") -> Iterator[tuple[str, str]]:
    """(name, docstring) of every command, sub-commands behind their group."""
    for command in group.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__.replace("_", "-")
        yield f"{prefix} {name}", inspect.getdoc(command.callback) or ""
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        yield from commands(sub.typer_instance, f"{prefix} {sub.name}")


def reference() -> str:
    lines = ["# Reference", "", "Made by `python docs/make_reference.py` from the code; don't edit.", ""]
    lines += ["## Commands", ""]
    for name, text in commands(app):
        summary, _, rest = text.partition("\n")
        example = rest.partition("Example:")[2].strip()
        lines += [f"- `{name}`: {summary}", f"  Example: `{example}`"]
    lines += ["", "Exit status: 0 done, 1 the answer is no, 2 wrong use, 70 a role that wants a restart.", ""]
    lines += [
        "## Settings",
        "",
        "From the environment, else from `gleaner.toml` (lower case, no prefix).",
        "",
    ]
    lines += ["| variable | default | what for |", "|---|---|---|"]
    for name, field in Settings.model_fields.items():
        default = "" if field.default is PydanticUndefined else str(field.default)
        shown = f"`{default}`" if default and default != "**********" else ""
        lines.append(f"| `GLEANER_{name.upper()}` | {shown} | {field.description} |")
    lines += ["", "## Topics", "", "`GLEANER_TOPIC_PREFIX` goes before each name.", ""]
    lines += ["| topic | key | value | partitions | kept | largest message |", "|---|---|---|---|---|---|"]
    usual = Settings.model_construct()
    for topic in TOPICS:
        kept = topic.cleanup if topic.retention_ms < 0 else f"{topic.retention_ms // 86_400_000} days"
        lines.append(
            f"| {topic.name} | {topic.key} | {topic.value} | {topic.partitions or 'GLEANER_PARTITIONS'} "
            f"| {kept} | {usual.message_bytes_of(topic) // 1024 // 1024} MiB |"
        )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    TARGET.write_text(reference())
