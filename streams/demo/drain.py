"""Waits until everything has come out; where it does not, says which role is behind."""

from __future__ import annotations

import asyncio
import time

from aiokafka.errors import KafkaError

from sinks.slack.sandbox import Sandbox
from streams.demo.stage import Stage
from streams.demo.watch import Watch
from streams.lag import READS, lag

PATIENCE_SECONDS = 90.0
QUIET_SECONDS = 4.5
"""Ingest calls a partition's end an end after two seconds, reports once a second, and rolling commits twice
a second: whoever has said nothing for so long has nothing left to say."""
DRAWING_SECONDS = 15.0
"""Charts come after the messages, and are waited for so long: a picture that fails is no reason to fail."""
PROGRESS = 40
"""Messages on ``observations`` that rolling may be behind: reports of progress come in every second."""
LOG_OF = {"rolling": "worker"}


async def drained(stage: Stage, watch: Watch, slack: Sandbox, published: int) -> None:
    """Return when every event is counted, every group has read to its end, and every incident is in Slack.

    Raises ``Failed`` after ``PATIENCE_SECONDS``, naming the role that is behind and its log.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    told_at = time.monotonic()
    while True:
        stage.check()
        behind = await _behind(stage)
        seen = watch.seen()
        counted = seen.processed + seen.dead >= published
        owed = watch.owed()
        told = owed is not None and len(slack.roots()) >= owed
        if not told:
            told_at = time.monotonic()
        drawn = _drawn(slack) or time.monotonic() - told_at > DRAWING_SECONDS
        if not behind and counted and told and drawn and watch.quiet() >= QUIET_SECONDS:
            return
        if time.monotonic() > deadline:
            if behind:
                role = max(behind, key=behind.__getitem__)
                why = f"{role} is {behind[role]:,} messages behind"
            elif not counted:
                role, why = "rolling", f"rolling has counted {seen.processed:,} of {published:,} events"
            else:
                role, why = "notify", f"{len(watch.incidents)} incidents, {len(slack.roots())} in Slack"
            raise stage.failed(
                f"not done {PATIENCE_SECONDS:.0f} s after the last event: {why}", LOG_OF.get(role, role)
            )
        await asyncio.sleep(0.3)


def _drawn(slack: Sandbox) -> bool:
    """Whether every first message has its chart."""
    return all(any(block["type"] == "image" for block in one.body.get("blocks", ())) for one in slack.roots())


async def _behind(stage: Stage) -> dict[str, int]:
    """Messages behind by role, of those that are."""
    found = {}
    for role in READS:
        try:
            total = sum((await lag(stage.settings, role)).values())
        except KafkaError:
            total = 1  # its group is changing members
        if total > (PROGRESS if role == "rolling" else 0):
            found[role] = total
    return found
