"""Keys, tokens and passwords: by the prefix that their issuer gives them, or by the word before."""

from __future__ import annotations

import re
from typing import Final

from streams.steps.redact_rule import Match, Rule, Span, whole


def _random_looking(match: Match) -> Span:
    """A name with hyphens is no key: there is a digit, and not only among separate words."""
    return match.span() if _DIGIT.search(match.group()) else None


def _mixed(match: Match) -> Span:
    found = match.group()
    return match.span() if _DIGIT.search(found) and _LOWER.search(found) and _UPPER.search(found) else None


def _assigned(match: Match) -> Span:
    """The value only, if it looks like a secret: characters of several kinds, and not few different ones."""
    value = match["value"].rstrip(".\\")  # a backslash: of an escaped quotation mark
    kinds = sum(1 for kind in (_LOWER, _UPPER, _DIGIT, _OTHER) if kind.search(value))
    if match["password"]:
        secret = len(value) >= 6 and kinds >= 2
    else:
        secret = len(value) >= 8 and bool(_DIGIT.search(value) and _LETTER.search(value))
    # "https://…/token: x" and times are no secrets, nor is "aaaaaaa1".
    secret = secret and len(set(value)) >= 5 and not _URL.match(value)
    begin = match.start("value")
    return (begin, begin + len(value)) if secret else None


def _value(match: Match) -> Span:
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
        whole,
        needs=("-----begin",),
    ),
    Rule(
        "KEY",
        re.compile(r"(?<![\w-])eyJ[\w-]{8,}+\.[\w-]{8,}+\.[\w-]{8,}+(?:\.[\w-]*+){0,2}"),
        whole,
        needs=("eyj",),
    ),
    Rule(
        "KEY",
        re.compile(r"(?<![A-Za-z0-9-])(?:[spr]k|gsk|whsec)[-_][\w-]{16,512}"),
        _random_looking,
        needs=("k-", "k_", "whsec"),
    ),
    Rule("KEY", re.compile(rf"(?<![A-Za-z0-9])(?:{_PREFIXED})"), whole, needs=_PREFIXES),
    Rule("KEY", re.compile(r"(?<![A-Za-z0-9])(?:AC|SK)[a-f0-9]{32}(?!\w)"), whole, needs=("ac", "sk")),
    Rule("KEY", re.compile(r"(?i)(?<=bearer )[\w.~+/-]{16,2048}=*"), _random_looking, needs=("bearer ",)),
    Rule(
        "KEY",
        re.compile(
            r"""(?i)authorization["']?\s{0,3}[:=]\s{0,3}["']?"""
            r"(?:token|api-?key) (?P<value>[\w.~+/-]{16,2048}=*)"
        ),
        _value,
        needs=("authorization",),
    ),
    Rule("KEY", re.compile(r"(?i)(?<=basic )[A-Za-z0-9+/]{16,512}={0,2}"), _mixed, needs=("basic ",)),
    Rule(
        "KEY",
        re.compile(r"(?<=://)[^\s/:@\[\]]{0,64}:(?P<value>[^\s/@\[\]]{3,128})(?=@)"),
        _value,
        needs=("://",),
    ),
    Rule(
        "KEY",
        re.compile(
            r"(?i)(?:(?P<password>password|passwd|passphrase|pwd|passwort)"
            r"|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|account[_-]?key|auth[_-]?key|credential)"
            r"""[a-z0-9_-]{0,16}(?:\\{0,3}["'])?\s{0,3}(?:=>|:=|=|:|\s(?:is|was|ist)\s)\s{0,3}(?:\\{0,3}["'`])?"""
            r"""(?P<value>[^\s"'`,;<>\[\]{}()]{6,512})"""
        ),
        _assigned,
        needs=("pass", "pwd", "secret", "token", "key", "credential"),
    ),
)
