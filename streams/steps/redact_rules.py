"""What is taken out of texts: a pattern finds candidates, a check decides by checksum, shape and context.

Patterns take linear time in any text: what repeats is bounded or possessive, and a candidate can begin only
where the word that it is part of begins. Every check is given the match and says which part of it goes.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Final, NamedTuple

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


def _whole(match: Match) -> Span:
    return match.span()


# Keys, tokens, passwords


def _random_looking(match: Match) -> Span:
    """A name with hyphens is no key: there is a digit, and not only among separate words."""
    return match.span() if _DIGIT.search(match.group()) else None


def _mixed(match: Match) -> Span:
    found = match.group()
    return match.span() if _DIGIT.search(found) and _LOWER.search(found) and _UPPER.search(found) else None


def _assigned(match: Match) -> Span:
    """The value only, if it looks like a secret: characters of several kinds, and not few different ones."""
    value = match["value"].rstrip(".")
    kinds = sum(1 for kind in (_LOWER, _UPPER, _DIGIT, _OTHER) if kind.search(value))
    if match["password"]:
        secret = len(value) >= 6 and kinds >= 2
    else:
        secret = len(value) >= 8 and bool(_DIGIT.search(value) and _LETTER.search(value))
    # "https://…/token: x" and times are no secrets, nor is "aaaaaaa1".
    secret = secret and len(set(value)) >= 5 and not _URL.match(value)
    begin = match.start("value")
    return (begin, begin + len(value)) if secret else None


def _url_password(match: Match) -> Span:
    return match.span("value")


_DIGIT, _LOWER, _UPPER = re.compile(r"\d"), re.compile(r"[a-z]"), re.compile(r"[A-Z]")
_LETTER, _OTHER, _URL = re.compile(r"[^\W\d_]"), re.compile(r"[^\w\s]"), re.compile(r"\w+://")

_PREFIXED = (
    r"gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}"
    r"|xox[abeoprs]-[\w-]{10,255}|xapp-[\w-]{10,255}"
    r"|A[KS]IA[0-9A-Z]{16}(?!\w)|AIza[\w-]{35}(?![\w-])|ya29\.[\w-]{20,512}"
    r"|hf_[A-Za-z0-9]{20,255}|npm_[A-Za-z0-9]{30,255}|pypi-[\w-]{40,512}"
    r"|SG\.[\w-]{16,64}\.[\w-]{16,64}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{32}"
    r"|do[opr]_v1_[a-f0-9]{64}|dapi[a-f0-9]{32}|\d{8,10}:AA[\w-]{33}"
)
_PREFIXES = (
    *(
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "xapp-",
        "akia",
        "asia",
        "aiza",
    ),
    *("ya29.", "hf_", "npm_", "pypi-", "sg.", "shpat_", "shpca_", "shppa_", "shpss_", "_v1_", "dapi", ":aa"),
)

KEYS: Final = (
    Rule(
        "KEY",
        re.compile(
            r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
            r".*?(?:-----END [A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.S,
        ),
        _whole,
        needs=("-----begin",),
    ),
    Rule(
        "KEY",
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,2}"),
        _whole,
        needs=("eyj",),
    ),
    Rule(
        "KEY",
        re.compile(r"(?<![A-Za-z0-9-])(?:[spr]k|gsk|whsec)[-_][\w-]{16,512}"),
        _random_looking,
        needs=("k-", "k_", "whsec"),
    ),
    Rule("KEY", re.compile(rf"(?<![A-Za-z0-9])(?:{_PREFIXED})"), _whole, needs=_PREFIXES),
    Rule("KEY", re.compile(r"(?<![A-Za-z0-9])(?:AC|SK)[a-f0-9]{32}(?!\w)"), _whole, needs=("ac", "sk")),
    Rule("KEY", re.compile(r"(?i)(?<=bearer )[\w.~+/-]{16,2048}=*"), _random_looking, needs=("bearer ",)),
    Rule("KEY", re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/]{16,512}={0,2}"), _mixed, needs=("basic ",)),
    Rule(
        "KEY",
        re.compile(r"(?<=://)[^\s/:@\[\]]{0,64}:(?P<value>[^\s/@\[\]]{3,128})(?=@)"),
        _url_password,
        needs=("://",),
    ),
    Rule(
        "KEY",
        re.compile(
            r"(?i)(?:(?P<password>password|passwd|passphrase|pwd|passwort)"
            r"|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|auth[_-]?key|credential)"
            r"""[a-z0-9_-]{0,16}["']?\s{0,3}(?:=>|:=|=|:|\s(?:is|was|ist)\s)\s{0,3}["'`]?"""
            r"""(?P<value>[^\s"'`,;<>\[\]{}()]{6,512})"""
        ),
        _assigned,
        needs=("pass", "pwd", "secret", "token", "key", "credential"),
    ),
)

# Persons


def _luhn(digits: str) -> bool:
    numbers = [int(c) for c in digits]
    doubled = [d if i % 2 == 0 else (2 * d - 9 if d > 4 else 2 * d) for i, d in enumerate(reversed(numbers))]
    return sum(doubled) % 10 == 0


def _is_card(digits: str) -> bool:
    """Payment cards begin with 2 to 6 (ISO/IEC 7812); times in ms begin with 1."""
    return 13 <= len(digits) <= 19 and digits[0] in "23456" and len(set(digits)) > 1 and _luhn(digits)


def _card(match: Match) -> Span:
    found = match.group()
    if _is_card(_digits(found)):
        return match.span()
    # A number may be followed by another one: "4111 1111 1111 1111 12/29".
    printed = _PRINTED_CARD.match(found)
    if printed and _is_card(_digits(printed.group())):
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


def _before(match: Match, length: int = 32) -> str:
    return match.string[max(0, match.start() - length) : match.start()]


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
        found, before = match.group(), _before(match)
        if not low <= len(_digits(found)) <= 15 or _DATE.match(found) or _THOUSANDS.match(found):
            return None
        if _COUNTED.search(before) or (called and not _CALLED.search(before)):
            return None
        return match.span()

    return check


_VERSIONED = re.compile(
    r"(?i)(?:\b(?:version|ver|v|release|build|section|chapter|clause|firmware)|§)[\s.:=]{0,2}$"
)


def _ipv4(match: Match) -> Span:
    parts = match.group().split(".")
    valid = all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in parts)
    return match.span() if valid and not _VERSIONED.search(_before(match)) else None


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


def _digits(text: str) -> str:
    return "".join(c for c in text if c.isdigit())


def _plain(text: str) -> str:
    return "".join(c for c in text if c.isalnum()).upper()


_SEPARATED = r"[ \u00a0().\u2011/-]"

PERSONS: Final = (
    Rule(
        "EMAIL",
        re.compile(
            r"(?<![\w.+%-])[\w.+%-]{1,64}+@(?:[^\W_](?:[\w-]{0,61}[^\W_])?\.){1,8}[^\W\d_]{2,24}(?![\w-])"
        ),
        _whole,
        str.lower,
        needs=("@",),
    ),
    Rule(
        "IBAN", re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ -]?[A-Za-z0-9]){11,29}"), _iban, _plain
    ),
    Rule("CARD", re.compile(r"(?<![\d.])[2-6](?:[ -]?[0-9]){12,18}(?![\d.]?\d)"), _card, _digits),
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
    # International: +49 30 901820, 0049 30 901820.
    Rule(
        "PHONE",
        re.compile(rf"(?<![\w.+])\+[0-9](?:{_SEPARATED}{{0,3}}[0-9]){{7,14}}(?!\w)"),
        _phone(8),
        _digits,
        needs=("+",),
    ),
    Rule(
        "PHONE",
        re.compile(rf"(?<![\w.+,/-])00[1-9][0-9]{{0,2}}(?:{_SEPARATED}{{0,3}}[0-9]){{7,13}}(?!\w)"),
        _phone(11),
        lambda text: _digits(text).removeprefix("00"),
        needs=("00",),
    ),
    # North America: (555) 123-4567, 1-555-123-4567, 555.123.4567; with spaces alone where a word says so.
    Rule(
        "PHONE",
        re.compile(
            r"(?<![\w.+,/-])(?:1[ .-])?(?:\([0-9]{3}\)[ -]?|[0-9]{3}[.-])[0-9]{3}[ .-][0-9]{4}(?!\w|[.,-]\d)"
        ),
        _phone(10),
        lambda text: _digits(text)[-10:],
    ),
    Rule(
        "PHONE",
        re.compile(r"(?<![\w.+,/-])(?:1 )?[0-9]{3} [0-9]{3} [0-9]{4}(?!\w|[.,-]\d)"),
        _phone(10, called=True),
        lambda text: _digits(text)[-10:],
        needs=_CALLS,
    ),
    # National, with the trunk prefix 0: 030 901820, 0171/1234567, 01 23 45 67 89, (020) 7946 0958.
    Rule(
        "PHONE",
        re.compile(
            r"(?<![\w.+,/:-])\(?0[1-9][0-9]{0,4}\)?(?:[ \u00a0./-]{1,3}[0-9]{2,8}){1,5}(?!\w|[.,:/-]\d)"
        ),
        _phone(9),
        _digits,
        needs=("0",),
    ),
    Rule(
        "PHONE",
        re.compile(r"(?<![\w.+,/:-])0[1-9][0-9]{8,10}(?!\w|[.,-]\d)"),
        _phone(10, called=True),
        _digits,
        needs=_CALLS,
    ),
)

RULES: Final = KEYS + PERSONS
