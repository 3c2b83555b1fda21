"""Whether the topic of the rolling state can hold it. Pure."""

from __future__ import annotations

from collections.abc import Mapping

COMPACT = "compact"


def unfit(topic: str, partitions: int, observations: int, config: Mapping[str, str] | None) -> str | None:
    """Why ``topic`` cannot hold the state of so many partitions of ``observations``; None where it can.

    ``config`` is what the broker says of the topic's settings, None where Gleaner may not see them: then
    they are taken to be right. From a topic that is not compacted what was written once and not since, a
    pinned baseline, is deleted by age, while the position goes on.

    >>> unfit("rolling-state", 2, 4, None)
    'rolling-state has 2 partitions and observations has 4: a partition without a state cannot be opened'
    >>> unfit("rolling-state", 4, 4, {"cleanup.policy": "compact,delete"})
    'rolling-state has cleanup.policy=compact,delete, and must have compact: what is old would be lost'
    """
    if partitions < observations:
        said = f"{topic} has {partitions} partitions and observations has {observations}"
        return f"{said}: a partition without a state cannot be opened"
    policy = COMPACT if config is None else config.get("cleanup.policy", COMPACT)
    if policy != COMPACT:
        return f"{topic} has cleanup.policy={policy}, and must have {COMPACT}: what is old would be lost"
    return None
