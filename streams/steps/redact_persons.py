"""What names a person or a machine: addresses of mail, accounts, cards, and of the network."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from streams.steps.redact_rule import Match, Rule, Span, digits_of, said_before, whole


def _luhn(digits: str) -> bool:
    numbers = [int(c) for c in digits]
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(numbers))]
    return sum(doubled) % 10 == 0


def _is_card(digits: str) -> bool:
    """Payment cards begin with 2 to 6 (ISO/IEC 7812); times in ms begin with 1."""
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and _luhn(digits)


def _card(match: Match) -> Span:
    found = match.group()
    if _is_card(digits_of(found)):
        return match.span()
    # A number may be followed by another one: "4111 1111 1111 1111 12/29".
    printed = _PRINTED_CARD.match(found)
    if printed and _is_card(digits_of(printed.group())):
        return match.start(), match.start() + printed.end()
    return None


_PRINTED_CARD = re.compile(r"\d{4}(?:([ -])\d{4}\1\d{4}\1\d{4}|([ -])\d{6}\2\d{4,5})(?!\d)")


def _iban(match: Match) -> Span:
    """As many characters as the country's have, with the right checksum (ISO 13616, ISO 7064 mod 97-10)."""
    found = match.group()
    length = _IBAN_LENGTH.get(found[:2].upper(), 0)
    ends = [place + 1 for place, c in enumerate(found) if c.isalnum()]
    if not length or len(ends) < length or found[ends[length - 1] : ends[length - 1] + 1].isalnum():
        return None
    text = "".join(c for c in found[: ends[length - 1]] if c.isalnum()).upper()
    turned = text[4:] + text[:4]
    if int("".join(str(int(c, 36)) for c in turned)) % 97 != 1:
        return None
    return match.start(), match.start() + ends[length - 1]


_LENGTHS = """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24
    DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27
    GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20
    LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28
    PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28
    TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30
"""
_IBAN_LENGTH = {entry[:2]: int(entry[2:]) for entry in _LENGTHS.split()}


_VERSIONED = re.compile(
    r"(?i)(?:\b(?:version|ver|v|release|build|section|chapter|clause|firmware)|§)[\s.:=]{0,2}$"
)


def _ipv4(match: Match) -> Span:
    parts = match.group().split(".")
    valid = all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in parts)
    return match.span() if valid and not _VERSIONED.search(said_before(match)) else None


def _ipv6(match: Match) -> Span:
    """``::1`` and the like, and what could be a path of names (``a::b``), say nothing of anybody."""
    found = match.group()
    groups = [group for group in found.split(":") if group]
    if len(groups) < 3 and not (found[:2].lower() in {"fe", "fc", "fd"} and len(groups) == 2):
        return None
    try:
        ipaddress.IPv6Address(found)
    except ValueError:
        return None
    return match.span()


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isalnum()).upper()


PERSONS: Final = (
    Rule(
        "EMAIL",
        re.compile(
            r"(?<![\w.+%-])(?:(?!%40)[\w.+%-]|(?<=\w)'(?=\w)){1,64}+(?:@|%40)(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
        ),
        whole,
        lambda text: text.lower().replace("%40", "@"),
        needs=("@", "%40"),
    ),
    Rule(
        "IBAN", re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,29}"), _iban, _plain
    ),
    Rule("CARD", re.compile(r"(?<![\d.])[2-6](?:[ -]?[0-9]){12,18}(?![\d.]?\d)"), _card, digits_of),
    Rule("IP", re.compile(r"(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?![\d.]*\d)"), _ipv4, needs=(".",)),
    Rule(
        "IP",
        re.compile(
            r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}(?:(?:\d{1,3}\.){3}\d{1,3}|[0-9A-Fa-f]{0,4})(?![\w:])"
        ),
        _ipv6,
        str.lower,
        needs=(":",),
    ),
)
