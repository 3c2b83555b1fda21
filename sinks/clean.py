"""Foreign text made harmless to look at, for any receiver: one line, no controls, no tricks of direction."""

from __future__ import annotations

import unicodedata

MARKS = 2
"""Combining marks that one character may carry: enough for every living script, too few for zalgo."""
TAB_LIKE = frozenset("\t\n\v\f\r\x85\u2028\u2029")
KEPT_FORMAT = frozenset("\u200d")
"""The joiner of emoji and of several scripts; every other format character can hide or turn text."""


def clean(text: str, limit: int | None = None) -> str:
    """``text`` on one line without control, direction and invisible characters, cut to ``limit``.

    What is cut ends in an ellipsis, which counts. A terminal's escape sequences lose their escape.

    >>> clean("a\\x00b\\nc\\u202ed\\x1b[31m")
    'ab cd[31m'
    >>> clean("abcdef", 4)
    'abc…'
    """
    kept: list[str] = []
    marks = 0
    # Ten times the limit holds any text that could still fill it, and bounds the work on megabytes.
    for character in text if limit is None else text[: 10 * limit + 100]:
        category = unicodedata.category(character)
        if character in TAB_LIKE or category in ("Zs", "Zl", "Zp"):
            character, category = " ", "Zs"
        elif category in ("Cc", "Cs", "Co", "Cn") or (category == "Cf" and character not in KEPT_FORMAT):
            continue
        if category in ("Mn", "Me"):
            marks += 1
            if marks > MARKS:
                continue
        else:
            marks = 0
        if character == " " and (not kept or kept[-1] == " "):
            continue
        kept.append(character)
    return cut("".join(kept).strip(), limit)


def cut(text: str, limit: int | None) -> str:
    """At most ``limit`` characters, the last one an ellipsis where something was cut."""
    if limit is None or len(text) <= limit:
        return text
    return text[: max(0, limit - 1)].rstrip() + "…" if limit > 0 else ""
