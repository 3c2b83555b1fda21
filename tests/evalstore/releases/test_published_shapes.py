"""The exports that no test loads into their tool: each record against the shape that its documentation gives.

Read on 2026-11-20; a field that is not in it, a wrong type or a missing one fails.

langsmith     docs.langchain.com/langsmith/example-data-format
langfuse      github.com/langfuse/langfuse, fern/apis/server/definition/dataset-items.yml
braintrust    braintrust.dev/docs/reference/cli/datasets
openai-evals  github.com/openai/evals, docs/build-eval.md
argilla       docs.argilla.io/latest/how_to_guides/record
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal, NotRequired
from uuid import UUID

import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict  # pydantic takes no other before Python 3.12

from sinks.evalstore.releases.export import export
from tests.exports.cases import cases

STRICT = ConfigDict(extra="forbid", strict=True)
Json = dict[str, Any]


@with_config(STRICT)
class LangSmith(TypedDict):
    id: str
    inputs: Json
    outputs: Json | None
    metadata: Json
    split: str | list[str]
    source_run_id: None


@with_config(STRICT)
class Langfuse(TypedDict):
    datasetName: str
    id: NotRequired[str]
    input: NotRequired[Any]
    expectedOutput: NotRequired[Any]
    metadata: NotRequired[Any]
    sourceTraceId: NotRequired[str]
    sourceObservationId: NotRequired[str]
    status: NotRequired[Literal["ACTIVE", "ARCHIVED"]]


@with_config(STRICT)
class Braintrust(TypedDict):
    id: NotRequired[str]
    input: Any
    expected: NotRequired[Any]
    metadata: NotRequired[Json]
    tags: NotRequired[list[str]]


@with_config(STRICT)
class Message(TypedDict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str


@with_config(STRICT)
class OpenAIEvals(TypedDict):
    input: list[Message]
    ideal: str | list[str]
    metadata: NotRequired[Json]


@with_config(STRICT)
class Suggestion(TypedDict):
    question_name: str
    value: str


@with_config(STRICT)
class Argilla(TypedDict):
    id: str
    fields: dict[str, str]
    metadata: dict[str, str | int | float | list[str]]
    suggestions: list[Suggestion]
    responses: list[Json]


SHAPES: dict[str, TypeAdapter[Any]] = {
    "langsmith": TypeAdapter(LangSmith),
    "langfuse": TypeAdapter(Langfuse),
    "braintrust": TypeAdapter(Braintrust),
    "openai-evals": TypeAdapter(OpenAIEvals),
    "argilla": TypeAdapter(Argilla),
}


def records(target: str, folder: Path) -> list[Json]:
    path = export(cases(), "r1", target, folder)
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


@pytest.mark.parametrize("target", SHAPES)
def test_every_record_has_the_published_shape(target: str, tmp_path: Path) -> None:
    found = records(target, tmp_path)
    assert len(found) == len(cases())
    for record in found:
        SHAPES[target].validate_python(record)
    with pytest.raises(ValidationError):
        SHAPES[target].validate_python(found[0] | {"invented": 1})


def test_ids_are_as_the_tools_want_them(tmp_path: Path) -> None:
    """LangSmith's are UUIDs; Langfuse's are unique in a project, so two releases never share one."""
    assert all(UUID(record["id"]) for record in records("langsmith", tmp_path))
    one = {record["id"] for record in records("langfuse", tmp_path)}
    path = export(cases(), "r2", "langfuse", tmp_path)
    other = {json.loads(line)["id"] for line in path.read_text(encoding="utf-8").splitlines()}
    assert len(one) == len(other) == len(cases())
    assert not one & other
