"""Who asks: a bearer token, and the reviewer whom it names."""

from __future__ import annotations

import hmac
import re
from typing import NamedTuple

SHORTEST = 16
"""Characters of a named token at least: it can change what a release is tested with."""
_NAME = re.compile(r"[\w.@-]{1,64}")


class Caller(NamedTuple):
    """``name`` None: somebody who may read."""

    name: str | None


class Keys(NamedTuple):
    """``reading``: a token without a name, "" where there is none; ``named``: each reviewer's (name,
    token).
    """

    reading: str = ""
    named: tuple[tuple[str, str], ...] = ()

    @property
    def open(self) -> bool:
        """Whether nobody needs a token to read."""
        return not self.reading and not self.named

    def caller(self, authorization: str) -> Caller | None:
        """Who sent this header; None: nobody who is known. Takes as long whichever token it was.

        >>> keys = Keys("for-reading", (("ann", "a" * 16),))
        >>> keys.caller("Bearer " + "a" * 16), keys.caller("bearer for-reading"), keys.caller("Bearer x")
        (Caller(name='ann'), Caller(name=None), None)
        """
        kind, _, given = authorization.partition(" ")
        sent = given.strip().encode()
        found = None
        for name, token in ((None, self.reading), *self.named):
            if hmac.compare_digest(sent, token.encode()) and token:
                found = Caller(name)
        return found if kind.lower() == "bearer" else None


def named_tokens(text: str) -> tuple[tuple[str, str], ...]:
    """``NAME:TOKEN,…`` as pairs. Raises ``ValueError`` with a line that has no token in it.

    >>> named_tokens("ann:0123456789abcdef, ben:fedcba9876543210")
    (('ann', '0123456789abcdef'), ('ben', 'fedcba9876543210'))
    """
    pairs = []
    for number, each in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
        name, _, token = (part.strip() for part in each.partition(":"))
        if not _NAME.fullmatch(name) or name == "none":
            raise ValueError(
                f"entry {number} has no name: NAME:TOKEN, the name of letters, digits and . _ @ -"
            )
        if len(token) < SHORTEST or any(map(str.isspace, token)):
            raise ValueError(f"entry {number}: its token is a word of {SHORTEST} characters or more")
        pairs.append((name, token))
    if len({token for _, token in pairs}) < len(pairs):
        raise ValueError("one token has two names: who says so would not be known")
    return tuple(pairs)
