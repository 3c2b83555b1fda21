"""A frozen release as files for somebody else's tool."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from sinks.evalstore.releases import shapes
from sinks.evalstore.releases.bundle import write_parquet
from sinks.evalstore.releases.record import line

Case = dict[str, Any]


class Target(NamedTuple):
    """A file name, in which ``{release}`` stands for the release, and what writes the file."""

    file: str
    write: Callable[[Sequence[Case], str, Path], None]


def export(cases: Sequence[Case], release: str, target: str, directory: Path) -> Path:
    """Write the file of one of ``TARGETS``; where it is. What was there before is replaced."""
    chosen = TARGETS[target]
    path = directory / chosen.file.format(release=release)
    path.parent.mkdir(parents=True, exist_ok=True)
    chosen.write(cases, release, path)
    return path


def _text(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="")


def _lines(shape: Callable[[Case, str], dict[str, Any]]) -> Callable[[Sequence[Case], str, Path], None]:
    def write(cases: Sequence[Case], release: str, path: Path) -> None:
        _text(path, "".join(json.dumps(shape(case, release), ensure_ascii=False) + "\n" for case in cases))

    return write


def _array(shape: Callable[[Case, str], dict[str, Any]]) -> Callable[[Sequence[Case], str, Path], None]:
    def write(cases: Sequence[Case], release: str, path: Path) -> None:
        items = [shape(case, release) for case in cases]
        _text(path, json.dumps(items, ensure_ascii=False, indent=2) + "\n")

    return write


def _frozen(cases: Sequence[Case], release: str, path: Path) -> None:
    _text(path, "".join(line(case) + "\n" for case in cases))


def _csv(cases: Sequence[Case], release: str, path: Path) -> None:
    """Lists and objects are JSON text; what is not known is an empty field.

    A text that a spreadsheet would run as a formula stays as it is: a file for programs. Lines end as
    RFC 4180 says, which also makes Python's csv quote a lone carriage return: to others it ends a line.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, shapes.FLAT, lineterminator="\r\n")
    writer.writeheader()
    for case in cases:
        writer.writerow(shapes.flat(case))
    _text(path, text.getvalue())


def _parquet(cases: Sequence[Case], release: str, path: Path) -> None:
    path.unlink(missing_ok=True)
    write_parquet(cases, path)


TARGETS: dict[str, Target] = {
    "jsonl": Target("{release}.jsonl", _frozen),
    "csv": Target("{release}.csv", _csv),
    "parquet": Target("{release}.parquet", _parquet),
    "ragas": Target("{release}.ragas.jsonl", _lines(shapes.ragas)),
    "promptfoo": Target("{release}.promptfoo.json", _array(shapes.promptfoo)),
    "deepeval": Target("{release}.deepeval.json", _array(shapes.deepeval)),
    "langsmith": Target("{release}.langsmith.jsonl", _lines(shapes.langsmith)),
    "langfuse": Target("{release}.langfuse.jsonl", _lines(shapes.langfuse)),
    "braintrust": Target("{release}.braintrust.jsonl", _lines(shapes.braintrust)),
    "openai-evals": Target("{release}.openai-evals.jsonl", _lines(shapes.openai_evals)),
    "inspect": Target("{release}.inspect.jsonl", _lines(shapes.inspect)),
    "huggingface": Target("data/test-00000-of-00001.parquet", _parquet),
    "argilla": Target("{release}.argilla.jsonl", _lines(shapes.argilla)),
}
"""What ``gleaner release export --to`` knows."""
