"""What is taken out of texts: a pattern finds candidates, a check decides by checksum, shape and context.

Patterns take linear time in any text: what repeats is bounded or possessive, and a candidate can begin only
where the word that it is part of begins. Every check is given the match and says which part of it goes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

Match = re.Match[str]
Span = tuple[int, int] | None


class Rule(NamedTuple):
    """``check``: the span that goes, or None. ``same``: equal for two ways to write one value.

    ``needs``: a text that has none of these, in lower case, is not searched: that is what makes it fast.
    """

    label: str
    pattern: re.Pattern[str]
    check: Callable[[Match], Span]
    same: Callable[[str], str] = str
    needs: tuple[str, ...] = ("",)


def whole(match: Match) -> Span:
    return match.span()


def said_before(match: Match, length: int = 32) -> str:
    return match.string[max(0, match.start() - length) : match.start()]


def digits_of(text: str) -> str:
    return "".join(c for c in text if c.isdigit())
