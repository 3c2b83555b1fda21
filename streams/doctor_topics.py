"""What the brokers' settings of Gleaner's topics disable, against the table of topics. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

from schemas.topics import CHANGES, DAY_MS, FEEDBACK, OBSERVATIONS, ROLLING_STATE, TOPICS, TRACES, Topic
from streams.settings import Settings
from streams.state.fitness import COMPACT, unfit
from streams.topics import configuration

APPLICATIONS = (TRACES, FEEDBACK, CHANGES)
FOR_EVER = -1

Said = tuple[Literal["gap", "fault"], str]


def of_topics(
    settings: Settings, partitions: Mapping[str, int], configs: Mapping[str, Mapping[str, str]]
) -> Iterator[Said]:
    """Faults and gaps of the topics in ``partitions``, the counts of those that exist.

    ``configs`` has the settings of those topics whose settings may be seen. Topics may have been made by an
    administrator or, at a first message, by the broker itself, with neither Gleaner's clean-up nor its sizes.
    """
    state = partitions.get(ROLLING_STATE.name)
    if state is not None:
        observations = partitions.get(OBSERVATIONS.name, 0)
        name = settings.topic(ROLLING_STATE)
        why = unfit(name, state, observations, configs.get(ROLLING_STATE.name))
        if why is not None:
            yield "fault", why
    there = [topic for topic in TOPICS if topic.name in partitions]
    for topic in there:
        if topic.name in configs:
            yield from _of(topic, settings, configs[topic.name])
    unseen = [settings.topic(topic) for topic in there if topic.name not in configs]
    if unseen and not settings.embedded:
        said = (
            f"settings may not be seen of {', '.join(unseen)}: clean-up, sizes and retention are not checked"
        )
        yield "gap", f"{said}; grant DESCRIBE_CONFIGS"


def _of(topic: Topic, settings: Settings, config: Mapping[str, str]) -> Iterator[Said]:
    name, wanted = settings.topic(topic), configuration(topic, settings)
    policy = config.get("cleanup.policy", topic.cleanup)
    # Of the state it is said with what follows.
    if policy != topic.cleanup and topic is not ROLLING_STATE:
        loses = (
            "what is old is lost" if topic.cleanup == COMPACT else "messages of one key replace each other"
        )
        yield "fault", f"{name} has cleanup.policy={policy}, and must have {topic.cleanup}: {loses}"
    size, least = (int(each.get("max.message.bytes", 0)) for each in (config, wanted))
    if 0 < size < least:
        said = f"{name} takes messages of {size:,} bytes at most"
        if topic in APPLICATIONS:
            yield "gap", f"{said}: applications may send {least:,}"
        else:
            yield "fault", f"{said}, and must take {least:,}: what is larger is refused"
    kept, meant = (int(each.get("retention.ms", FOR_EVER)) for each in (config, wanted))
    if topic.cleanup == "delete" and FOR_EVER < kept < meant:
        said = f"{name} keeps {kept / DAY_MS:,.3g} days, and {meant / DAY_MS:,.3g} are meant"
        yield "gap", f"{said}: what is older cannot be read again"
