"""Foreign text on a terminal: what would steer the terminal is shown instead of obeyed."""

from __future__ import annotations

import json
import re
from typing import Any

_CONTROL = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_DIRECTION = "\u200e\u200f\u202a-\u202e\u2066-\u2069"
_STEERS = re.compile(f"[{_CONTROL}{_DIRECTION}\ud800-\udfff\u2028\u2029]")
_AFTER_JSON = re.compile(f"[\x7f-\x9f{_DIRECTION}\ud800-\udfff\u2028\u2029]")
_SPACE = re.compile(r"\s+")


def printable(text: object) -> str:
    """``text`` with escapes in place of control and direction characters; line feed and tab stay.

    >>> printable("red \\x1b[31m alert\\x07, \\u202eevil")
    'red \\\\x1b[31m alert\\\\x07, \\\\u202eevil'
    """
    return _STEERS.sub(_escape, str(text))


def one_line(text: object) -> str:
    """``printable`` text with every run of white space as one space.

    >>> one_line("a\\n\\n b")
    'a b'
    """
    return printable(_SPACE.sub(" ", str(text)).strip())


def json_line(value: Any) -> str:
    """``value`` as one line of JSON, the same value to a program and harmless to a terminal."""
    return _AFTER_JSON.sub(
        lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False, default=str)
    )


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
