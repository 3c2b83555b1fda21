"""Takes personal data and secrets out of text before it is stored or sent, by one pure function.

Placeholders are consistent within one :class:`Redactor`: the same address is ``[EMAIL_1]`` wherever it
stands, so that a case still reads as a conversation. Patterns with a check (card numbers by Luhn,
IBANs by mod 97) are checked, so that order numbers survive. Names are not recognised, and what is
written unusually is missed: redaction lowers a risk, it does not end it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import Any, Final


def _luhn(match: str) -> bool:
    digits = [int(c) for c in match if c.isdigit()]
    if not 13 <= len(digits) <= 19 or len(set(digits)) == 1:
        return False
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(digits))]
    return sum(doubled) % 10 == 0


def _iban(match: str) -> bool:
    text = match.replace(" ", "").upper()
    turned = text[4:] + text[:4]
    return 15 <= len(text) <= 34 and int("".join(str(int(c, 36)) for c in turned)) % 97 == 1


def _phone(match: str) -> bool:
    return 8 <= sum(c.isdigit() for c in match) <= 15


def _address(match: str) -> bool:
    return all(int(part) <= 255 for part in match.split("."))


def _always(match: str) -> bool:
    return True


PATTERNS: Final[tuple[tuple[str, re.Pattern[str], Callable[[str], bool]], ...]] = (
    (
        "KEY",
        re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.S),
        _always,
    ),
    # The header's length is bounded, or a text of nothing but "eyJ-" would take time by its square.
    ("KEY", re.compile(r"\beyJ[\w-]{8,512}\.[\w-]{8,}\.[\w-]{8,}"), _always),
    (
        "KEY",
        re.compile(
            r"\b(?:sk|pk|rk)[-_](?:[A-Za-z]+[-_])*[A-Za-z0-9_-]{16,}|\bgh[pousr]_\w{20,}|\bxox[abeoprs]-[\w-]{10,}"
        ),
        _always,
    ),
    ("KEY", re.compile(r"\bAKIA[0-9A-Z]{16}\b|\bAIza[\w-]{35}\b"), _always),
    ("KEY", re.compile(r"(?i)(?<=bearer )[\w.~+/-]{16,}=*"), _always),
    ("EMAIL", re.compile(r"\b[\w.+%-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"), _always),
    ("IBAN", re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"), _iban),
    ("CARD", re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d.]?\d)"), _luhn),
    (
        "PHONE",
        re.compile(r"(?<![\w.])\+\d[\d ().-]{6,18}\d(?!\w)|(?<![\w.])\(\d{3}\) ?\d{3}-\d{4}(?!\w)"),
        _phone,
    ),
    ("IP", re.compile(r"(?<![\d.])(?:\d{1,3}\.){3}\d{1,3}(?![\d.]*\d)"), _address),
)


class Redactor:
    """Redacts the texts of one case; ``count`` is how many places it has replaced."""

    def __init__(self) -> None:
        self.count = 0
        self._names: dict[tuple[str, str], str] = {}
        self._used: dict[str, int] = {}

    def text(self, text: str) -> str:
        """
        >>> Redactor().text("ann@example.org wrote, ann@example.org called from 10.0.0.1")
        '[EMAIL_1] wrote, [EMAIL_1] called from [IP_1]'
        >>> Redactor().text("order 4111111111111112, card 4111 1111 1111 1111")
        'order 4111111111111112, card [CARD_1]'
        """
        for label, pattern, is_one in PATTERNS:
            text = pattern.sub(partial(self._replace, label, is_one), text)
        return text

    def value(self, value: Any) -> Any:
        """Every string inside a JSON value, keys excepted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self.value(item) for key, item in value.items()}
        return value

    def _replace(self, label: str, is_one: Callable[[str], bool], match: re.Match[str]) -> str:
        found = match.group()
        if not is_one(found):
            return found
        self.count += 1
        key = (label, found)
        if key not in self._names:
            self._used[label] = self._used.get(label, 0) + 1
            self._names[key] = f"[{label}_{self._used[label]}]"
        return self._names[key]
