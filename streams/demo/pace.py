"""Publishes at a pace, and waits where a role does not keep it up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from aiokafka.errors import KafkaError

from streams.demo.stage import Stage
from streams.lag import lag
from streams.lines import Timed
from streams.publish import publish_lines
from streams.settings import Settings

BEHIND = 2_500
"""Messages that a group may be behind on one topic. The embedded broker forgets the oldest when a partition
holds 5 MiB, which is some 4,000 traces, 16,000 in a topic; a group behind that would lose them in silence."""
FOLLOWED = ("worker", "judge")
SLICE = 200
LOOK_SECONDS = 0.7


class Lags:
    """How far the roles are behind, looked at again and again while the publisher publishes."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.behind: dict[str, int] = dict.fromkeys(FOLLOWED, 0)

    def worst(self) -> int:
        return max(self.behind.values())

    async def watch(self) -> None:
        while True:
            for role in FOLLOWED:
                self.behind[role] = max((await lag(self.settings, role)).values())
            await asyncio.sleep(LOOK_SECONDS)


async def publish_paced(
    settings: Settings, lines: Iterable[Timed], rate: float, stage: Stage, seen: Callable[[int], None]
) -> int:
    """Publish ``lines`` at up to ``rate`` events a second; returns how many the broker has acknowledged."""
    lags = Lags(settings)
    looking = asyncio.create_task(lags.watch())
    published = 0
    try:
        for part in _slices(iter(lines)):
            while lags.worst() > BEHIND:
                _look(looking, stage)
                await asyncio.sleep(0.1)
            _look(looking, stage)
            done = await publish_lines(settings, part, rate=rate)
            published += done.events
            seen(published)
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)
    return published


def _slices(lines: Iterator[Timed]) -> Iterator[list[Timed]]:
    while part := list(islice(lines, SLICE)):
        yield part


def _look(looking: asyncio.Task[None], stage: Stage) -> None:
    stage.check()
    if looking.done() and isinstance(error := looking.exception(), KafkaError):
        raise stage.failed(f"the broker does not answer: {error}")
    if looking.done():
        looking.result()
