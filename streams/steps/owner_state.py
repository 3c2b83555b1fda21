"""An owner's state as entries: what changed since the last commit, and an owner made of them again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from schemas.observation import TraceRow
from streams.steps.chunks import Frontiers

if TYPE_CHECKING:
    from streams.steps.owner import Owner


def write(owner: Owner) -> dict[str, bytes | None]:
    """State entries that have changed since the last call; None deletes one."""
    apps = owner.apps.values()
    early = {app.name: app.scores.early for app in apps}
    entries = owner.chunks.changes(_frontiers(owner), owner.pending.write(), early)
    entries["meta"] = orjson.dumps(
        {
            "watermark": owner.watermark.snapshot(),
            "apps": {app.name: app.meta() for app in apps},
            "reported": owner.reported,
        }
    )
    for app in apps:
        entries.update(app.changes())
    return entries


def restore(owner: Owner, entries: dict[str, bytes]) -> None:
    """Make a new owner the one that wrote ``entries``."""
    if "meta" not in entries:
        return
    meta = orjson.loads(entries["meta"])
    owner.watermark.restore(meta["watermark"])
    owner.reported = meta["reported"]
    waiting: dict[str, dict[int, bytes]] = {}
    for key, data in entries.items():
        if key.startswith("waiting:"):
            name, number = orjson.loads(key.removeprefix("waiting:"))
            waiting.setdefault(name, {})[number] = data
    for name, state in meta["apps"].items():
        owner.app(name).restore(state, waiting.get(name, {}))
    segments: dict[tuple[str, str, str], dict[str, bytes]] = {}
    for key, data in entries.items():
        if key.startswith("segment:"):
            name, environment, route, part = orjson.loads(key.removeprefix("segment:"))
            segments.setdefault((name, environment, route), {})[part] = data
    for (name, environment, route), parts in segments.items():
        owner.apps[name].restore_segment(environment, route, parts)
    pools: dict[str, dict[str, dict[str, bytes]]] = {}
    for key, data in entries.items():
        if key.startswith("pool:"):
            name, environment, part = orjson.loads(key.removeprefix("pool:"))
            pools.setdefault(name, {}).setdefault(environment, {})[part] = data
    for name, app in owner.apps.items():
        app.restore_pools(pools.get(name, {}))
        # With the first state that is written, or again by whoever restores the same one.
        owner.outputs.signals.extend(app.ended)
        app.ended.clear()
    _restore_flying(owner, entries)


def _frontiers(owner: Owner) -> Frontiers:
    heads = {app.name: app.scores.head for app in owner.apps.values()}
    return Frontiers(owner.watermark.value, owner.decided_before(), heads)


def _restore_flying(owner: Owner, entries: dict[str, bytes]) -> None:
    flying = owner.chunks.restore(entries, _frontiers(owner))
    owner.pending.restore(flying.pending)
    for item in flying.pending:
        if type(item.row) is TraceRow:
            owned = owner.apps[item.app]
            owned.pending[item.trace_id] = item
            if item.at in flying.early:
                owned.scores.early[item.trace_id] = flying.early[item.at]
    decided_before = owner.decided_before()
    for owned in owner.apps.values():
        owned.conversations.decided = None if decided_before is None else decided_before - 1
    for conversation in flying.conversations:
        owner.apps[conversation.app].conversations.restore(conversation)
    for outcome in flying.outcomes:
        owner.apps[outcome.app].conversations.restore_outcome(outcome)
    for awaited in flying.awaited:
        owner.apps[awaited.app].scores.restore(awaited)
