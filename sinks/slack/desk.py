"""The desk that takes clicks: may this person, then a command on the topic, then an answer to the person.

Slack waits three seconds for an acknowledgement. A click is acknowledged once its command is in the log, so
that what Slack shows as taken is never lost; where that takes longer than two seconds it is not acknowledged,
and Slack warns whoever clicked.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

from schemas.command import Command
from sinks.base import Delivered, Outcome
from sinks.slack.allowed import Allowed
from sinks.slack.clicks import Click, Look, NoClick, click_of

log = logging.getLogger(__name__)

TAKE_SECONDS = 2.0
"""Of the three that Slack waits."""
ANSWER_MS = 15_000
"""A verdict that takes longer is not answered: it shows in the message."""
REMEMBER = 1_000
"""Clicks that are remembered, so that one that Slack delivers twice is answered once."""
REFUSAL_MS = 60_000
"""Between two words to somebody who may not: whoever goes on clicking has been told."""
REFUSALS = 20
"""Refusals that wait to be said; further ones are only counted."""
GROUP_MS = 300_000
"""The members of a user group are asked for again after this."""


class Taken(StrEnum):
    """What became of a payload; all but ``FAILED`` are acknowledged."""

    PUBLISHED = "published"
    LOOKED = "looked"
    """A question, which the person is answered."""
    AGAIN = "again"
    NOT_ALLOWED = "not_allowed"
    NOTHING = "nothing"
    FAILED = "failed"


class Answer(NamedTuple):
    """The reducer's verdict on a click's commands, in words; ``done`` needs none, the message shows it."""

    done: bool
    words: str


class Slack(Protocol):
    """What the desk asks of Slack; a sink of alerts does it."""

    async def whisper(self, channel: str, user: str, text: str) -> Outcome: ...

    async def group(self, group: str) -> frozenset[str] | None:
        """User ids of a user group's members; None where Slack doesn't say."""
        ...


def _one(command: Command) -> tuple[Command, ...]:
    return (command,)


def _unknown(storm_id: str) -> str:
    return f"Notify knows no storm {storm_id[:8]}"


class Desk:
    """``publish`` puts commands into the log, or raises; ``verdict`` on them is None until there is one.

    ``each`` makes the commands of a click's: one for every incident of a storm. ``listing`` tells what is
    open of a storm, by its id, as text for Slack.
    """

    def __init__(
        self,
        slack: Slack,
        allowed: Allowed,
        publish: Callable[[Sequence[Command]], Awaitable[None]],
        verdict: Callable[[Sequence[Command]], Answer | None],
        clock: Callable[[], int],
        each: Callable[[Command], Sequence[Command]] = _one,
        listing: Callable[[str], str] = _unknown,
    ) -> None:
        self.slack, self.allowed, self.publish, self.verdict = slack, allowed, publish, verdict
        self.clock, self.each, self.listing = clock, each, listing
        self.counts: Counter[str] = Counter()
        self.taken: OrderedDict[str, Click | Look] = OrderedDict()
        self.unanswered: dict[str, tuple[int, Click, Sequence[Command]]] = {}
        """By a click's id: until when its answer is of use, and its commands."""
        self.looks: list[Look] = []
        self.groups: dict[str, tuple[int, frozenset[str]]] = {}
        self.refused: deque[Click] = deque()
        self.refused_at: OrderedDict[str, int] = OrderedDict()
        """When each user was last refused in words, the oldest first; at most a minute back."""

    async def take(self, payload: object) -> Taken:
        """What a payload of Slack's asks for; never raises for what Slack or the broker do."""
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                taken = await self._take(payload)
        except Exception as error:
            # Not acknowledged: Slack tells the person that it didn't work, and they click again.
            log.error("a click was not taken: %s", type(error).__name__)
            taken = Taken.FAILED
        self.counts[taken.value] += 1
        return taken

    async def answer(self) -> None:
        """Tells people whose click changed nothing why, and what they asked; to be called several times a
        second.

        It waits for Slack, so it has a task of its own: no page may wait for it. First verdicts, then what
        was asked, then at most one refusal.
        """
        now = self.clock()
        for click_id, (deadline, click, commands) in list(self.unanswered.items()):
            found = self.verdict(commands)
            if found is None and now < deadline:
                continue
            del self.unanswered[click_id]
            if found and not found.done:
                await self._whisper(click, found.words)
        while self.looks:
            look = self.looks.pop(0)
            await self._whisper(look, self.listing(look.storm_id))
        if self.refused:
            who = self.allowed.who()
            await self._whisper(self.refused.popleft(), f"You can't act on incidents here. Who may: {who}")

    async def _take(self, payload: object) -> Taken:
        click = click_of(payload)
        if isinstance(click, NoClick):
            if click is not NoClick.A_LINK:
                log.warning("an interaction of Slack's asks for nothing: %s", click.value)
            return Taken.NOTHING
        if isinstance(click, Look):
            return self._look(click)
        command = click.command
        if command.id in self.taken:
            return Taken.AGAIN
        if not await self._may(click.user):
            log.warning("user %s may not %s incidents", click.user, command.verb.value)
            self._remember(command.id, click)
            self._refuse(click)
            return Taken.NOT_ALLOWED
        commands = self.each(command)
        await self.publish(commands)
        log.info(
            "a click of user %s: %s %s, %d commands",
            *(click.user, command.verb.value, command.incident_id, len(commands)),
        )
        self._remember(command.id, click)
        self.unanswered[command.id] = (self.clock() + ANSWER_MS, click, commands)
        return Taken.PUBLISHED

    def _look(self, look: Look) -> Taken:
        """Whoever sees the digest may see what is in it."""
        if look.id in self.taken:
            return Taken.AGAIN
        self._remember(look.id, look)
        self.looks.append(look)
        return Taken.LOOKED

    def _refuse(self, click: Click) -> None:
        now, told = self.clock(), self.refused_at
        while told and next(iter(told.values())) <= now - REFUSAL_MS:
            told.popitem(last=False)
        if click.user in told:
            return
        if len(self.refused) >= REFUSALS:
            self.counts["unanswered"] += 1
            return
        told[click.user] = now
        self.refused.append(click)

    def _remember(self, click_id: str, click: Click | Look) -> None:
        self.taken[click_id] = click
        while len(self.taken) > REMEMBER:
            self.taken.popitem(last=False)

    async def _may(self, user: str) -> bool:
        if self.allowed.everybody or user in self.allowed.users:
            return True
        for group in self.allowed.groups:
            if user in await self._members(group):
                return True
        return False

    async def _members(self, group: str) -> frozenset[str]:
        asked_at, members = self.groups.get(group, (None, frozenset()))
        now = self.clock()
        if asked_at is None or now - asked_at >= GROUP_MS:
            found = await self.slack.group(group)
            if found is None:
                # Who was a member a while ago still is; who is unknown is not.
                log.error("user group %s can't be read: is the scope usergroups:read missing?", group)
                return members
            members = found
            self.groups[group] = (now, found)
        return members

    async def _whisper(self, click: Click | Look, text: str) -> None:
        outcome = await self.slack.whisper(click.channel, click.user, text)
        if not isinstance(outcome, Delivered):
            log.warning("user %s could not be answered: %s", click.user, outcome)
            self.counts["unanswered"] += 1
