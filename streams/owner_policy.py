"""What settings and rules say of the rolling stage; apart from the role, so that a replay needs no Kafka."""

from __future__ import annotations

from streams.rules_file import load_rules
from streams.settings import Settings
from streams.steps.owner import OwnerPolicy


def owner_policy(settings: Settings) -> OwnerPolicy:
    """The policy of production and replay alike. Raises ``RulesError`` where the rules cannot be used."""
    return OwnerPolicy(
        lateness_ms=settings.lateness_ms,
        conversation_ms=settings.conversation_ms,
        score_wait_ms=settings.score_wait_ms,
        join_horizon_ms=int(settings.join_horizon_days * 86_400_000),
        window_ms=settings.window_ms,
        segments=settings.segments,
        rules=load_rules(settings.rules),
    )
