"""Text from users, models and strangers that would ping, break or hide: through the whole path to Slack."""

from __future__ import annotations

from pathlib import Path

from benchmarks.alerts.crashes import Points
from benchmarks.alerts.faults import World, owed, pinged, told
from benchmarks.alerts.story import BEGIN, SECOND, Event, Story, alarm
from schemas.command import Command, Verb
from schemas.identity import derive
from schemas.incident import CasePreview
from schemas.signal import Cause, Severity, Signal, SignalName
from sinks.outbox import Outbox
from sinks.slack.sandbox import Sandbox

TEXTS = {
    "mentions": "<!channel> <!here> <!everyone> <@U1> <@U0ONCALL> <!subteam^S1> <#C1>",
    "entities": "&<>&amp;&lt;!channel&gt; <https://evil.example|click>",
    "40 kB": "long " * 8_000,
    "40 kB of entities": "&<>" * 13_334,
    "right-to-left marks": "\u202egnol\u202c \u2066\u2067x\u2069 \u200f\u200e\u061c",
    "zalgo": "z" + "\u0301\u0302\u0303\u0489\u034f" * 400 + "algo",
    "backticks": "``` `code` *bold* _it_ ~no~ > quote\n```",
    "null bytes": "a\x00b\x1b[31mred\x07\ud83d\ufffe",
    "lines": "P1 · RESOLVED\r\n\r\n*all is well*\u2028\u2029\x85",
    "everything": "<!channel>\u202e&<>`\x00" + "z\u0301\u0302\u0303" * 50 + "<@U1>" * 2_000,
}
ROOM = 20_000
"""Characters of a name that go as far as notify; ingest refuses more than it."""


async def hostile(folder: Path) -> tuple[bool, list[str]]:
    """Whether no text pings, breaks a message or hides its verdict; a line of each that does."""
    broken: list[str] = []
    for number, (name, text) in enumerate(TEXTS.items()):
        broken += [f"{name}: {one}" for one in await _one(folder / str(number), text)]
    said = f"{len(TEXTS)} hostile texts in app, route, cause, reason, cases and people's names: no ping, "
    said += "no refused message, every verdict there"
    return not broken, [said] if not broken else [f"BROKEN: {one}" for one in broken]


async def _one(folder: Path, text: str) -> list[str]:
    """One incident in which everything that strangers write is ``text``; and a storm of seven."""
    safe = text.encode("utf-8", "replace").decode()
    cause = Cause(dimension="served_model", previous=safe[:ROOM], current=safe[:ROOM])
    events: list[tuple[int, Event]] = []
    for number in range(8):
        late = BEGIN + (0 if number == 0 else 60 * SECOND)
        first = alarm(f"{number} {safe[:ROOM]}", 0, SignalName.FAITHFULNESS, late, Severity.P2, cause)
        changes = {"route": safe[:ROOM], "reason": safe, "ruled_out": (safe, safe), "budget": safe}
        events.append((late, first.model_copy(update=changes)))
    one = events[0][1]
    assert isinstance(one, Signal)
    for number in range(3):
        events.append(
            (
                BEGIN + SECOND,
                CasePreview(
                    case_id=f"case-{number}",
                    app=one.app,
                    environment=one.environment,
                    route=safe[:ROOM],
                    trace_id=safe,
                    time=BEGIN + SECOND,
                    reasons=("low_score", safe),
                    score=0.2,
                    excerpt=safe,
                ),
            )
        )
    incident = derive("incident", one.app, one.environment, one.rule, one.id)
    name = safe[:200] or "x"
    click = Command(
        id="c", incident_id=incident, verb=Verb.ACK, actor=name, time=BEGIN + 30 * SECOND, note=safe[:500]
    )
    events.append((BEGIN + 30 * SECOND, click))
    events.sort(key=lambda each: each[0])
    plan = Story(0, events=events, end=events[-1][0])
    async with Sandbox() as slack:
        world = World(folder, slack, plan, BEGIN)
        slack.clock = lambda: world.now / 1000
        slack.channel.mentions = frozenset({"U0ONCALL", "U0NEXT"})
        await world.live(Points())
        outbox = Outbox.open(folder / "notify.sqlite")
        try:
            broken = [*told(world, outbox, names=False), *owed(outbox), *pinged(world)]
            degraded = outbox.db.execute("select count(*) from outbox where degrade > 0").fetchone()[0]
        finally:
            outbox.close()
        roots = slack.roots()
        if degraded:
            broken.append(f"{degraded} messages were refused")
        lines = [root.body["text"] for root in roots]
        if len(roots) != 2:
            broken.append(f"{len(roots)} first messages")
        if not any("P2" in line and "fell 0.92 → 0.80 since 09:00 UTC" in line for line in lines):
            broken.append(f"the verdict is lost: {lines}")
        if not any(line.startswith("Storm · 7 incidents") for line in lines):
            broken.append(f"the storm's verdict is lost: {lines}")
    return broken
