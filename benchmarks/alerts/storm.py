"""Three hundred segments that break at once, into the loopback Slack over HTTP, on a virtual clock."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

from aiohttp import web

from benchmarks.alerts.crashes import Points
from benchmarks.alerts.faults import World, late, owed, pinged, told
from benchmarks.alerts.story import BEGIN, HOUR, Event, Story, alarm, recovery
from schemas.signal import Cause, Severity, SignalName
from sinks.outbox import Outbox
from sinks.slack.sandbox import Sandbox

SEGMENTS = 300
P1S = (7, 150, 299)
CAUSE = Cause(dimension="served_model", previous="lumen-1", current="lumen-2")
BURST, PER_SECOND = 3, 1.0


class Timed(Sandbox):
    """Notes when each write came, by its clock."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.came: dict[str, list[float]] = defaultdict(list)

    async def _read(self, request: web.Request, method: str) -> dict[str, Any]:
        body = await super()._read(request, method)
        if method in ("chat.postMessage", "chat.update", "files.completeUploadExternal"):
            self.came[str(body.get("channel") or body.get("channel_id"))].append(self.clock())
        return body


async def storm(folder: Path) -> tuple[bool, list[str]]:
    """Whether it is one digest and the P1s, under the rate, all visible, each in its own final state."""
    events: list[tuple[int, Event]] = []
    for number in range(SEGMENTS):
        severity = Severity.P1 if number in P1S else Severity.P3 if number % 2 else Severity.P2
        at = BEGIN
        app = f"app-{number:03}"
        events.append((at, alarm(app, 0, SignalName.FAITHFULNESS, at, severity, CAUSE)))
        if number >= SEGMENTS // 2:
            later = BEGIN + HOUR // 2 + number
            events.append((later, recovery(app, 0, SignalName.FAITHFULNESS, later)))
    events.sort(key=lambda each: each[0])
    plan = Story(0, events=list(events), end=events[-1][0])
    async with Timed() as slack:
        world = World(folder, slack, plan, BEGIN)
        slack.clock = lambda: world.now / 1000
        slack.channel.mentions = frozenset({"U0ONCALL", "U0NEXT"})
        await world.live(Points())
        outbox = Outbox.open(folder / "notify.sqlite")
        try:
            broken = [*told(world, outbox), *owed(outbox), *late(world, outbox), *pinged(world)]
            storms = [row["id"] for row in outbox.db.execute("select id from storms")]
        finally:
            outbox.close()
        roots = slack.roots()
        shown = "".join(str(root.body["blocks"]) for root in roots)
        missing = [n for n in range(SEGMENTS) if f"app-{n:03}" not in shown]
        if len(storms) != 1 or len(roots) != 1 + len(P1S):
            broken.append(f"{len(storms)} storms, {len(roots)} first messages")
        if missing:
            broken.append(f"{len(missing)} segments are not visible")
        if fast := too_fast(slack.came[slack.channel.id]):
            broken.append(fast)
        first = [float(root.ts) - BEGIN / 1000 for root in roots]
        replies = len(slack.channel.messages) - len(roots)
        writes = len(slack.came[slack.channel.id])
    digest = next(root for root in roots if "Storm" in root.body["text"])
    return not broken, [
        f"{SEGMENTS} segments at once, {len(P1S)} of them P1: {len(roots)} first messages within"
        f" {max(first):.0f} s (group wait 5 s), {replies} replies, {writes} writes in all",
        f"its first line: {digest.body['text']}",
        *(f"BROKEN: {one}" for one in broken),
    ]


def too_fast(times: list[float]) -> str:
    """Where writes come faster than the bucket lets them; an empty string where they nowhere do.

    >>> too_fast([0, 0, 0, 1, 2]), too_fast([0, 0, 0, 0])
    ('', '4 writes within 0 s')
    """
    for first in range(len(times)):
        for last in range(first, len(times)):
            span = times[last] - times[first]
            if last - first + 1 > BURST + span * PER_SECOND + 1e-6:
                return f"{last - first + 1} writes within {span:.0f} s"
    return ""
