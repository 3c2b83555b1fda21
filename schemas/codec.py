"""Bytes to elements to events; for each refusal a reason that names the field and the fix.

A message is one event or an array of events. Each element is accepted or refused by itself: one bad
element of an array costs only itself. The fast path is orjson; what orjson cannot read is read again
by the standard library, which accepts NaN, so that the refusal can name the field that holds it.
"""

from __future__ import annotations

import json
import math
from operator import itemgetter
from typing import Any, Final, Literal, NamedTuple, get_args

import orjson
from pydantic import BaseModel, TypeAdapter, ValidationError

from schemas.acceptance import BASELINE, Acceptance
from schemas.base import EARLIEST_MS, LATEST_MS
from schemas.change import ChangeEvent
from schemas.dead_letter import Refusal
from schemas.feedback import FEEDBACK_KINDS, FeedbackEvent, FeedbackKind
from schemas.identity import INDEX_BITS
from schemas.topics import MAX_EVENT_BYTES
from schemas.trace import Context, TraceEvent

Event = TraceEvent | FeedbackEvent | ChangeEvent
EventKind = Literal["trace", "feedback", "change"]
MODELS: Final[dict[str, type[TraceEvent] | type[FeedbackEvent] | type[ChangeEvent]]] = {
    "trace": TraceEvent,
    "feedback": FeedbackEvent,
    "change": ChangeEvent,
}

MAX_DEPTH = 64
"""Levels of nesting in one event. A deeper one is a mistake or an attack."""
MAX_EVENTS = 1 << INDEX_BITS
SUPPORTED_VERSIONS = (1,)


class Refused(NamedTuple):
    """An element that is no event. ``original`` is None where the message itself is the original."""

    reason: Refusal
    message: str
    field: str | None = None
    original: bytes | None = None


class Element(NamedTuple):
    """One JSON object of a message; ``size`` in bytes is known only where it was measured."""

    value: dict[str, Any]


def split(data: bytes | None, max_event_bytes: int = MAX_EVENT_BYTES) -> list[Element | Refused]:
    """The elements of a message, each an object or refused; never empty.

    >>> split(b'[{"trace_id": "a"}, 3]')[1].message
    'an event is a JSON object, not int'
    >>> split(b"")[0].reason
    <Refusal.EMPTY: 'empty'>
    """
    if not data or not data.strip():
        return [Refused(Refusal.EMPTY, "the message is empty: send one JSON object or an array of them")]
    parsed: Any
    try:
        parsed = orjson.loads(data)
        strict = True
    except orjson.JSONDecodeError as problem:
        loose = _read_again(data, problem)
        if isinstance(loose, Refused):
            return [loose]
        parsed, strict = loose.value["parsed"], False
    if isinstance(parsed, list):
        if not parsed:
            return [Refused(Refusal.EMPTY, "the array is empty: send one event or more")]
        if len(parsed) > MAX_EVENTS:
            return [Refused(Refusal.TOO_MANY, f"{len(parsed)} events in one message: at most {MAX_EVENTS}")]
        # Only a message that could hold an event over the limit is worth measuring element by element.
        measure = len(data) > max_event_bytes
        # Fewer brackets than the limit cannot nest deeper than it.
        deep = data.count(b"[") + data.count(b"{") > MAX_DEPTH
        if strict and not deep and not measure:
            return [
                Element(item) if type(item) is dict else _element(item, True, False, None) for item in parsed
            ]
        return [_element(item, strict, deep, max_event_bytes if measure else None) for item in parsed]
    if isinstance(parsed, dict) and len(data) > max_event_bytes:
        return [_too_large(len(data), max_event_bytes)]
    deep = data.count(b"[") + data.count(b"{") > MAX_DEPTH
    return [_element(parsed, strict, deep, None)]


def _too_large(size: int, limit: int) -> Refused:
    return Refused(
        Refusal.TOO_LARGE,
        f"the event has {size} bytes, the limit is {limit}: shorten its texts, or raise max_event_bytes",
    )


def _element(item: Any, strict: bool, deep: bool, max_bytes: int | None) -> Element | Refused:
    if not isinstance(item, dict):
        message = f"an event is a JSON object, not {type(item).__name__}"
        return Refused(Refusal.NOT_AN_EVENT, message, original=_dump(item))
    if deep and _brackets(item) > MAX_DEPTH and (field := _deeper_than(item, MAX_DEPTH)) is not None:
        message = f"{field}: nested deeper than {MAX_DEPTH} levels: flatten it"
        return Refused(Refusal.TOO_DEEP, message, field, _dump(item))
    if not strict and (problem := _not_json(item)) is not None:
        return problem
    if max_bytes is not None:
        text = orjson.dumps(item)
        if len(text) > max_bytes:
            return _too_large(len(text), max_bytes)._replace(original=text)
    return Element(item)


def _read_again(data: bytes, problem: orjson.JSONDecodeError) -> Element | Refused:
    """Read what orjson refused with the standard library, to find a better reason or a good element."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        hint = (
            "UTF-16 or Latin-1?" if data[:2] in (b"\xff\xfe", b"\xfe\xff") or error.start < 2 else "Latin-1?"
        )
        return Refused(
            Refusal.BAD_ENCODING, f"byte {error.start} is not UTF-8: encode the message as UTF-8 ({hint})"
        )
    if text.startswith("\ufeff"):
        return Refused(Refusal.BAD_ENCODING, "the message begins with a byte order mark: leave it out")
    try:
        return Element({"parsed": json.loads(text, parse_int=_integer)})
    except RecursionError:
        return Refused(Refusal.TOO_DEEP, f"nested deeper than {MAX_DEPTH} levels: flatten it")
    except ValueError:
        return Refused(Refusal.BAD_JSON, f"not JSON: {problem}")


def _integer(digits: str) -> int | float:
    """An integer as orjson reads it: beyond 64 bits a float. What is accepted can be written again."""
    value = int(digits) if len(digits) <= 20 else None
    return value if value is not None and -(2**63) <= value < 2**64 else float(digits)


def _brackets(item: dict[str, Any]) -> int:
    """Opening brackets in the element's text: no fewer than its levels, and quick to count."""
    try:
        text = orjson.dumps(item)
    except TypeError:  # too deep for orjson, or not JSON at all
        return MAX_DEPTH + 1
    return text.count(b"[") + text.count(b"{")


def _deeper_than(item: dict[str, Any], limit: int) -> str | None:
    """The first field of ``item`` that nests deeper than ``limit`` levels, the object itself being one."""
    for name, value in item.items():
        level = [value] if isinstance(value, dict | list) else []
        depth = 1
        while level:
            depth += 1
            if depth > limit:
                return name
            level = [
                inner
                for outer in level
                for inner in (outer.values() if isinstance(outer, dict) else outer)
                if isinstance(inner, dict | list)
            ]
    return None


def _not_json(item: dict[str, Any]) -> Refused | None:
    """Why an object that only the standard library could read is not JSON: NaN, a lone surrogate."""
    for name, value in item.items():
        try:
            json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            message = f"{name}: holds half of a surrogate pair, which is no character: send whole characters"
            return Refused(Refusal.BAD_ENCODING, message, name, json.dumps(item).encode())
        except ValueError:
            message = f"{name}: NaN and Infinity are not JSON numbers: leave the field out when it is unknown"
            return Refused(Refusal.INVALID, message, name, json.dumps(item).encode())
    return None


def _dump(item: Any) -> bytes:
    """The element's own text, near enough to find it again; never fails."""
    try:
        return orjson.dumps(item)
    except (TypeError, ValueError):
        pass
    try:
        return json.dumps(item).encode()
    except (RecursionError, ValueError):
        return b""


_BOTH: Final = frozenset({"environment", "route", "conversation_id", "release", "tags"})
"""Fields of a trace that feedback likes to copy from it: they don't tell the one from the other."""
_TRACE_FIELDS: Final = TraceEvent.model_fields.keys() - FeedbackEvent.model_fields.keys() - _BOTH
_KINDS: Final = ", ".join(get_args(FeedbackKind))


def classify(value: dict[str, Any]) -> EventKind | Refused:
    """Which event an object is, where its topic doesn't tell: a line of a file.

    ``event`` decides if present; else ``dimension`` with ``to`` and no ``trace_id`` is a change; else a
    known ``kind`` without model, answer or tokens is feedback; else it is a trace. An unknown ``kind`` beside
    no field that only a trace has is refused: it is misspelt feedback, and as a trace it would take the
    identity of the real one.

    >>> classify({"trace_id": "t", "kind": "thumbs", "value": "up"})
    'feedback'
    >>> classify({"dimension": "prompt_version", "to": "v7"})
    'change'
    >>> classify({"trace_id": "t", "kind": "thumbs_down"}).field
    'kind'
    """
    named = value.get("event")
    if named is not None:
        if named == "trace" or named == "feedback" or named == "change":
            return named  # type: ignore[no-any-return]
        return Refused(Refusal.INVALID, "event: is one of trace, feedback, change", "event", _dump(value))
    if "dimension" in value and "to" in value and "trace_id" not in value:
        return "change"
    kind = value.get("kind")
    if isinstance(kind, str) and kind in FEEDBACK_KINDS:
        traits = ("model", "answer", "input_tokens", "output_tokens")
        if not any(value.get(trait) is not None for trait in traits):
            return "feedback"
    elif isinstance(kind, str) and not any(value.get(field) is not None for field in _TRACE_FIELDS):
        message = f'kind: of feedback is one of {_KINDS}; a trace says "event": "trace" (got {_short(kind)})'
        return Refused(Refusal.INVALID, message, "kind", _dump(value))
    return "trace"


_VALIDATORS: Final = {name: model.__pydantic_validator__.validate_python for name, model in MODELS.items()}
_ACCEPTANCE: Final = Acceptance.__pydantic_validator__.validate_python


def validate(kind: EventKind, value: dict[str, Any]) -> Event | Refused:
    """The event that an object holds, or the first field that is wrong with what it should be.

    >>> validate("trace", {"trace_id": "t", "input_tokens": -1}).message
    'input_tokens: input should be greater than or equal to 0 (got -1)'
    """
    version = value.get("v")
    if version is not None and type(version) is int and version not in SUPPORTED_VERSIONS:
        message = f"v: schema version {version} is newer than this Gleaner, which reads 1: upgrade it"
        return Refused(Refusal.UNSUPPORTED_VERSION, message, "v", _dump(value))
    try:
        accepts = kind == "change" and value.get("dimension") == BASELINE
        event: Event = _ACCEPTANCE(value) if accepts else _VALIDATORS[kind](value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        field = _place(first["loc"], value)
        text = first["msg"].removeprefix("Value error, ")
        text = text.replace("valid tuple", "JSON array").replace("valid dictionary", "JSON object")
        text = text if field is None and ":" in text else text[:1].lower() + text[1:]
        if field is None and ":" in text:
            field = text.split(":", 1)[0]
            message = text
        else:
            got = "" if first["type"] == "missing" else f" (got {_short(first['input'])})"
            message = f"{field or kind}: {text}{got}"
        return Refused(Refusal.INVALID, message, field, _dump(value))
    # An offset can carry a time of the year 1 or 9999 out of what a clock can show.
    if event.timestamp is not None and not EARLIEST_MS <= event.timestamp <= LATEST_MS:
        message = f"timestamp: is outside the years 1 to 9999 in UTC (got {_short(value['timestamp'])})"
        return Refused(Refusal.INVALID, message, "timestamp", _dump(value))
    return event


def _place(loc: tuple[int | str, ...], item: Any) -> str | None:
    """The path to a wrong field, without the names of the alternatives of its type that pydantic puts in."""
    path: list[str] = []
    for part in loc:
        inside = (isinstance(item, dict) and part in item) or (isinstance(item, list) and type(part) is int)
        if inside:
            item = item[part]
        if inside or not path:
            path.append(str(part))
    return ".".join(path) or None


_ONE_TRACE: Final = TraceEvent.__pydantic_validator__.validate_json
_TRACES: Final = TypeAdapter(list[TraceEvent]).validator.validate_json
_LOOSE: Final = itemgetter(
    "messages", "retrieved_docs", "citations", "parameters", "tool_calls", "error", "tags"
)
"""The fields of a trace that may hold any JSON, which pydantic doesn't look into."""
_SCALARS: Final = frozenset({str, int, bool, type(None)})


def read_traces(data: bytes, max_event_bytes: int = MAX_EVENT_BYTES) -> list[TraceEvent] | None:
    """The traces of a message that is beyond doubt, straight from its bytes: the quick way for the many.

    None where anything at all is unusual: then ``split`` and ``validate`` decide, and say why. Whatever
    comes out here is what they would have made of it.

    >>> [trace.trace_id for trace in read_traces(b'[{"trace_id": "a"}, {"trace_id": "b"}]') or ()]
    ['a', 'b']
    >>> read_traces(b'[{"trace_id": "a"}, {"trace_id": 7}]') is None
    True
    """
    if len(data) > max_event_bytes:
        return None
    try:
        if data[:1] == b"{":
            traces = [_ONE_TRACE(data)]
        elif data[:1] == b"[":
            traces = _TRACES(data)
        else:
            return None
    except ValidationError:
        return None
    for trace in traces:
        if not _sound(trace):
            return None
    return traces or None


def _sound(trace: TraceEvent) -> bool:
    """Whether what pydantic did not look into is JSON, no deeper than allowed, of a version that we read.

    Its JSON reader takes NaN and 1e400 for numbers, which orjson rightly refuses.
    """
    if trace.timestamp is not None and not EARLIEST_MS <= trace.timestamp <= LATEST_MS:
        return False
    extra = trace.__pydantic_extra__
    if extra and ("v" in extra or not _plain(extra, MAX_DEPTH)):
        return False
    for value in _LOOSE(trace.__dict__):
        if value is not None and not _plain(value, MAX_DEPTH - 1):
            return False
    for context in trace.contexts or ():
        if type(context) is Context:
            more = context.__pydantic_extra__
            if more and not _plain(more, MAX_DEPTH - 2):
                return False
    return True


def _plain(value: Any, levels: int) -> bool:
    """Whether a value has finite numbers only, and at most so many levels."""
    kind = type(value)
    if kind in _SCALARS:
        return True
    if kind is float:
        return math.isfinite(value)
    if not levels:
        return False
    inner = value.values() if kind is dict else value
    return _SCALARS.issuperset(map(type, inner)) or all(_plain(item, levels - 1) for item in inner)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def encode(value: BaseModel) -> bytes:
    """A value of this package as it goes on the wire: UTF-8 JSON, wire names, no absent fields."""
    return value.model_dump_json(by_alias=True, exclude_none=True).encode()
