"""What Slack takes, and what we allow ourselves, which is less: a checker of Block Kit payloads.

The SDK's models check only some of this; the rest was learned from refusals (``docs/alerting.md``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """Characters after escaping, except ``blocks``, ``fields`` and ``elements``, which are counts."""

    blocks: int
    total: int
    text: int
    section: int
    fields: int
    field: int
    header: int
    elements: int
    block_id: int
    actions: int
    button: int
    value: int
    url: int
    option: int
    option_value: int
    alt: int


SLACK = Limits(
    blocks=50, total=11_000, text=40_000, section=3_000, fields=10, field=2_000, header=150, elements=10,
    block_id=255, actions=25, button=75, value=2_000, url=3_000, option=75, option_value=150,
    alt=2_000,
)  # fmt: skip
OURS = Limits(
    blocks=12,
    total=8_000,
    text=2_800,
    section=2_800,
    fields=6,
    field=400,
    header=120,
    elements=2,
    block_id=80,
    actions=5,
    button=30,
    value=80,
    url=3_000,
    option=40,
    option_value=80,
    alt=200,
)
KNOWN = {
    "header": {"type", "block_id", "text"},
    "section": {"type", "block_id", "text", "fields"},
    "context": {"type", "block_id", "elements"},
    "rich_text": {"type", "block_id", "elements"},
    "divider": {"type", "block_id"},
    "actions": {"type", "block_id", "elements"},
    "image": {"type", "block_id", "slack_file", "alt_text"},
}
CONTROLS = {
    "button": {"type", "action_id", "text", "value", "url", "style", "confirm", "accessibility_label"},
    "static_select": {"type", "action_id", "placeholder", "options", "confirm"},
}
CONFIRM = {"title": 100, "text": 300, "confirm": 30, "deny": 30}
RICH = {"rich_text_section", "rich_text_quote", "rich_text_preformatted"}


def problems(payload: Mapping[str, Any], limits: Limits = SLACK) -> list[str]:
    """All that is wrong with a message's ``text`` and ``blocks``, with JSON pointers; [] is good."""
    return list(_problems(payload, limits))


def _problems(payload: Mapping[str, Any], limits: Limits) -> Iterator[str]:
    text, blocks = payload.get("text"), payload.get("blocks", [])
    if not isinstance(text, str) or not text.strip():
        yield "/text: missing"
    elif len(text) > limits.text:
        yield f"/text: {len(text)} characters, at most {limits.text}"
    if not isinstance(blocks, list):
        yield "/blocks: not an array"
        return
    if len(blocks) > limits.blocks:
        yield f"/blocks: {len(blocks)} blocks, at most {limits.blocks}"
    seen: set[str] = set()
    for index, block in enumerate(blocks):
        at = f"/blocks/{index}"
        if not isinstance(block, dict) or block.get("type") not in KNOWN:
            yield f"{at}/type: unknown"
            continue
        for key in sorted(set(block) - KNOWN[block["type"]]):
            yield f"{at}/{key}: unknown key"
        block_id = block.get("block_id")
        if isinstance(block_id, str):
            if len(block_id) > limits.block_id:
                yield f"{at}/block_id: {len(block_id)} characters, at most {limits.block_id}"
            if block_id in seen:
                yield f"{at}/block_id: twice"
            seen.add(block_id)
        yield from _block(block, at, limits)
    total = sum(len(one) for one in texts(blocks))
    if total > limits.total:
        yield f"/blocks: {total} characters of text, at most {limits.total}"


def _block(block: dict[str, Any], at: str, limits: Limits) -> Iterator[str]:
    match block["type"]:
        case "header":
            yield from _text(block.get("text"), f"{at}/text", limits.header, ("plain_text",))
        case "section":
            fields = block.get("fields")
            if "text" in block or fields is None:
                yield from _text(block.get("text"), f"{at}/text", limits.section)
            if fields is not None:
                if not 1 <= len(fields) <= limits.fields:
                    yield f"{at}/fields: {len(fields)} fields, 1 to {limits.fields}"
                for number, field in enumerate(fields):
                    yield from _text(field, f"{at}/fields/{number}", limits.field)
        case "context":
            elements = block.get("elements", [])
            if not 1 <= len(elements) <= limits.elements:
                yield f"{at}/elements: {len(elements)} elements, 1 to {limits.elements}"
            for number, element in enumerate(elements):
                yield from _text(element, f"{at}/elements/{number}", limits.section)
        case "image":
            # Of images only those of files in Slack: a page never makes anybody's client fetch an address.
            file = block.get("slack_file")
            yield from _string(file.get("id") if isinstance(file, dict) else None, f"{at}/slack_file/id", 80)
            yield from _string(block.get("alt_text"), f"{at}/alt_text", limits.alt)
        case "actions":
            yield from _actions(block.get("elements", []), f"{at}/elements", limits)
        case "rich_text":
            elements = block.get("elements", [])
            if not elements:
                yield f"{at}/elements: empty"
            for number, element in enumerate(elements):
                if element.get("type") not in RICH or not element.get("elements"):
                    yield f"{at}/elements/{number}: unknown or empty"


def _actions(elements: list[Any], at: str, limits: Limits) -> Iterator[str]:
    if not 1 <= len(elements) <= limits.actions:
        yield f"{at}: {len(elements)} elements, 1 to {limits.actions}"
    seen: set[object] = set()
    for number, element in enumerate(elements):
        here, kind = f"{at}/{number}", element.get("type")
        if kind not in CONTROLS:
            yield f"{here}/type: unknown"
            continue
        for key in sorted(set(element) - CONTROLS[kind]):
            yield f"{here}/{key}: unknown key"
        action_id = element.get("action_id")
        if action_id in seen:
            yield f"{here}/action_id: twice"
        seen.add(action_id)
        yield from _string(action_id, f"{here}/action_id", limits.block_id)
        for key, limit in CONFIRM.items() if "confirm" in element else ():
            yield from _text(element["confirm"].get(key), f"{here}/confirm/{key}", limit)
        if kind == "button":
            yield from _text(element.get("text"), f"{here}/text", limits.button, ("plain_text",))
            for key, limit in (("value", limits.value), ("url", limits.url)):
                if key in element:
                    yield from _string(element[key], f"{here}/{key}", limit)
            continue
        yield from _text(element.get("placeholder"), f"{here}/placeholder", 150, ("plain_text",))
        options = element.get("options", [])
        if not 1 <= len(options) <= 100:
            yield f"{here}/options: {len(options)} options, 1 to 100"
        for place, option in enumerate(options):
            yield from _text(option.get("text"), f"{here}/options/{place}/text", limits.option)
            yield from _string(option.get("value"), f"{here}/options/{place}/value", limits.option_value)


def _string(value: Any, at: str, limit: int) -> Iterator[str]:
    if not isinstance(value, str) or not value:
        yield f"{at}: missing"
    elif len(value) > limit:
        yield f"{at}: {len(value)} characters, at most {limit}"


def _text(
    value: Any, at: str, limit: int, types: tuple[str, ...] = ("plain_text", "mrkdwn")
) -> Iterator[str]:
    if not isinstance(value, dict) or value.get("type") not in types:
        yield f"{at}/type: one of {', '.join(types)}"
        return
    text = value.get("text")
    if not isinstance(text, str) or not text.strip():
        yield f"{at}/text: missing"
    elif len(text) > limit:
        yield f"{at}/text: {len(text)} characters, at most {limit}"


def texts(value: Any) -> Iterator[str]:
    """Every string under a ``text`` key, however deep."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "text" and isinstance(inner, str):
                yield inner
            else:
                yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)
