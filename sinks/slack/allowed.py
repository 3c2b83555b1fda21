"""Users and user groups of Slack by id: who may act on incidents, and who is called."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

USER = re.compile(r"[UW][A-Z0-9]{1,30}")
GROUP = re.compile(r"S[A-Z0-9]{1,30}")


@dataclass(frozen=True)
class Allowed:
    """An allow-list; empty, it allows everybody who sees the message.

    >>> Allowed.parse("U024BE7LH, S0614TZR7")
    Allowed(users=('U024BE7LH',), groups=('S0614TZR7',))
    >>> Allowed.parse("dana")
    Traceback (most recent call last):
    ValueError: 'dana' is neither a user id (U…) nor a user group's (S…)
    """

    users: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """From ids with commas between them; raises ``ValueError`` that names what is none."""
        users, groups = [], []
        for one in filter(None, (part.strip() for part in text.split(","))):
            if USER.fullmatch(one):
                users.append(one)
            elif GROUP.fullmatch(one):
                groups.append(one)
            else:
                raise ValueError(f"{one!r} is neither a user id (U…) nor a user group's (S…)")
        return cls(tuple(users), tuple(groups))

    @property
    def everybody(self) -> bool:
        return not self.users and not self.groups

    def who(self) -> str:
        """They as mentions, which ping them unless the message is one that only its reader sees."""
        return ", ".join(
            [*(f"<@{one}>" for one in self.users), *(f"<!subteam^{one}>" for one in self.groups)]
        )
