"""Takes personal data and secrets out of text before it is stored or sent, by one pure function.

Placeholders are consistent within one :class:`Redactor`: the same address is ``[EMAIL_1]`` wherever it
stands and however it is written, so that a case still reads as a conversation. What has a checksum is
checked (cards by Luhn, IBANs by mod 97), so that order numbers survive. Names and postal addresses are not
recognised, and what is written unusually is missed: redaction lowers a risk, it does not end it.
"""

from __future__ import annotations

import re
from typing import Any, Final

from streams.steps.redact_keys import KEYS
from streams.steps.redact_persons import PERSONS
from streams.steps.redact_phones import PHONES
from streams.steps.redact_rule import Rule

RULES: Final = KEYS + PERSONS + PHONES

PASSES = 4
"""A text is gone through until nothing more is found, and this often at most: what is replaced may have
hidden the beginning of something else."""
_PLACEHOLDER: Final = re.compile(r"\[?[A-Z]+_\d+\]?")


class Redactor:
    """Redacts the texts of one case; ``count`` is how many places it has replaced."""

    def __init__(self) -> None:
        self.count = 0
        self._names: dict[tuple[str, str], str] = {}
        self._used: dict[str, int] = {}

    def text(self, text: str) -> str:
        """
        >>> Redactor().text("ann@example.org wrote, Ann@example.org called from 10.0.0.1")
        '[EMAIL_1] wrote, [EMAIL_1] called from [IP_1]'
        >>> Redactor().text("order 4111111111111112, card 4111 1111 1111 1111")
        'order 4111111111111112, card [CARD_1]'
        """
        for _ in range(PASSES):
            before = self.count
            lower = text.lower()
            for rule in RULES:
                # Placeholders contain nothing that a rule needs, so ``lower`` may be older than ``text``.
                if any(needed in lower for needed in rule.needs):
                    text = self._apply(rule, text)
            if self.count == before:
                break
        return text

    def value(self, value: Any) -> Any:
        """Every string inside a JSON value, keys excepted: a key says what its text is.

        >>> Redactor().value({"password": "hunter2Xy", "phone": "5551234567", "day": "hunter2Xy"})
        {'password': '[KEY_1]', 'phone': '[PHONE_1]', 'day': 'hunter2Xy'}
        """
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(item) for item in value]
        if isinstance(value, dict):
            return {key: self._said(key, item) for key, item in value.items()}
        return value

    def _said(self, key: str, item: Any) -> Any:
        if not isinstance(item, str):
            return self.value(item)
        before = f"{key}: "
        found = self.text(before + item)
        return found.removeprefix(before) if found.startswith(before) else self.text(item)

    def _apply(self, rule: Rule, text: str) -> str:
        parts: list[str] = []
        done = place = 0
        while match := rule.pattern.search(text, place):
            span = rule.check(match)
            if span is None or _PLACEHOLDER.fullmatch(text, *span):
                # What was taken for one may hide another: a card after an order number.
                place = match.start() + 1
                continue
            begin, end = span
            parts += [text[done:begin], self._name(rule, text[begin:end])]
            done = place = end
            self.count += 1
        return "".join([*parts, text[done:]]) if parts else text

    def _name(self, rule: Rule, found: str) -> str:
        key = (rule.label, rule.same(found))
        if key not in self._names:
            self._used[rule.label] = self._used.get(rule.label, 0) + 1
            self._names[key] = f"[{rule.label}_{self._used[rule.label]}]"
        return self._names[key]
