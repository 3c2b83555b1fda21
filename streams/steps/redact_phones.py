"""Telephone numbers: international, North American, national; where digits do not tell, by a word before."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from streams.steps.redact_rule import Match, Rule, Span, digits_of, said_before

_COUNTED = re.compile(
    r"(?i)(?:\b(?:order|invoice|ticket|case|ref|reference|sku|part|item|serial|isbn|issn|ean|version|tracking|article|"
    r"id|customer|account|contract|policy|booking|parcel|batch|lot|bestellung|rechnung|commande)"
    r"(?:[ _-]?(?:no|nr|num|number|id|code))?|#|№)[\s.:#=-]{0,3}$"
)
"""Before a number that is no telephone's."""
_CALLS = (
    "phone",
    "tel",
    "mobil",
    "cell",
    "fax",
    "whatsapp",
    "call",
    "ring",
    "dial",
    "text",
    "hotline",
    "sms",
)
_CALLED = re.compile(
    r"(?i)\b(?:phone|tel|telephone|telefon|mobile|mobil|cell|fax|whatsapp|call|ring|dial|text|hotline|sms)\w{0,3}"
    r"(?: (?:no|nr|number|me|us|him|her|them|at|on|is|under|to)){0,3}[\s.:]{0,3}$"
)
_DATE = re.compile(r"\(?\d{1,2}[./-]\d{1,2}[./-](?:19|20)\d\d(?!\d)|\(?\d{4}[./-]\d\d[./-]\d\d(?!\d)")
_THOUSANDS = re.compile(r"\+?\d{1,3}(?:[. ]000)+$|\+\d{1,3}(?:\.\d{3})+$")


def _phone(low: int, *, called: bool = False) -> Callable[[Match], Span]:
    """At least ``low`` digits; ``called``: and a word before that says so."""

    def check(match: Match) -> Span:
        found, before = match.group(), said_before(match)
        if not low <= len(digits_of(found)) <= 15 or _DATE.match(found) or _THOUSANDS.match(found):
            return None
        if _COUNTED.search(before) or (called and not _CALLED.search(before)):
            return None
        return match.span()

    return check


_SEPARATED = r"[ \u00a0().\u2011/-]"

PHONES: Final = (
    # International: +49 30 901820, 0049 30 901820.
    Rule(
        "PHONE",
        re.compile(rf"(?<![\w.+])\+[0-9](?:{_SEPARATED}{{0,3}}[0-9]){{7,14}}(?!\w)"),
        _phone(8),
        digits_of,
        needs=("+",),
    ),
    Rule(
        "PHONE",
        re.compile(rf"(?<![\w.+,/-])00[1-9][0-9]{{0,2}}(?:{_SEPARATED}{{0,3}}[0-9]){{7,13}}(?!\w)"),
        _phone(11),
        lambda text: digits_of(text).removeprefix("00"),
        needs=("00",),
    ),
    # North America: (555) 123-4567, 1-555-123-4567, 555.123.4567; with spaces or nothing between the digits
    # where a word says so.
    Rule(
        "PHONE",
        re.compile(
            r"(?<![\w.+,/-])(?:1[ .-])?(?:\([0-9]{3}\)[ -]?|[0-9]{3}[.-])[0-9]{3}[ .-][0-9]{4}(?!\w|[.,-]\d)"
        ),
        _phone(10),
        lambda text: digits_of(text)[-10:],
    ),
    Rule(
        "PHONE",
        re.compile(r"(?<![\w.+,/-])(?:(?:1 )?[0-9]{3} [0-9]{3} [0-9]{4}|1?[2-9][0-9]{9})(?!\w|[.,-]\d)"),
        _phone(10, called=True),
        lambda text: digits_of(text)[-10:],
        needs=_CALLS,
    ),
    # National, with the trunk prefix 0: 030 901820, 0171/1234567, 01 23 45 67 89, (020) 7946 0958.
    Rule(
        "PHONE",
        re.compile(
            r"(?<![\w.+,/:-])\(?0[1-9][0-9]{0,4}\)?(?:[ \u00a0./-]{1,3}[0-9]{2,8}){1,5}(?!\w|[.,:/-]\d)"
        ),
        _phone(9),
        digits_of,
        needs=("0",),
    ),
    Rule(
        "PHONE",
        re.compile(r"(?<![\w.+,/:-])0[1-9][0-9]{8,10}(?!\w|[.,-]\d)"),
        _phone(10, called=True),
        digits_of,
        needs=_CALLS,
    ),
)
