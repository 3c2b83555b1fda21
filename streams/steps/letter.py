"""What the store keeps of a refused event: as much as its application's privacy policy allows. Pure.

Its topic has the original for as long as it keeps messages; ``size`` and ``sha256`` are still the original's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from schemas.dead_letter import DeadLetter
from streams.steps.privacy import Privacy, kept
from streams.steps.redact import Redactor


def kept_letter(letter: DeadLetter, privacy_of: Callable[[str], Privacy]) -> DeadLetter:
    """The dead letter for the store. The application is read from the event; where that is not to be had,
    being no JSON object or cut at 64 KiB, ``privacy_of`` is asked for ``*``.

    Of text that is no JSON, ``IDS_ONLY`` keeps nothing, and ``REDACTED`` what the rules leave. An array that
    was refused as a whole is as its strictest event.
    """
    try:
        value = orjson.loads(letter.original)
    except orjson.JSONDecodeError:
        return _text(letter, privacy_of("*"))
    events = value if isinstance(value, list) else [value]
    if not events or not all(isinstance(event, dict) for event in events):
        return _text(letter, privacy_of("*"))
    policy = max((privacy_of(_app(event)) for event in events), key=STRICTNESS.index)
    redactor = Redactor()
    if policy is Privacy.FULL:
        return letter
    bare = [kept(event, policy, redactor) for event in events]
    if bare == events:
        return letter  # to the byte: it can be put back without its topic
    data = orjson.dumps(bare if isinstance(value, list) else bare[0])
    return letter.model_copy(update={"original": data.decode(), "message": _message(letter)})


STRICTNESS = (Privacy.FULL, Privacy.REDACTED, Privacy.IDS_ONLY)


def _app(event: dict[str, Any]) -> str:
    app = event.get("app")
    return app if isinstance(app, str) else "default" if app is None else "*"


def _text(letter: DeadLetter, policy: Privacy) -> DeadLetter:
    if policy is Privacy.FULL:
        return letter
    redactor = Redactor()
    original = redactor.text(letter.original) if policy is Privacy.REDACTED else ""
    return letter.model_copy(update={"original": original, "message": _message(letter)})


def _message(letter: DeadLetter) -> str:
    """What is wrong with the field, without the wrong value: that is text, and cut where no rule knows it."""
    return letter.message.split(" (got ", 1)[0]
