"""Whose scores count: a judge before the application's own before an offline estimate."""

from __future__ import annotations

JUDGE, APP, OFFLINE = range(3)


def rank(scorer: str) -> int:
    """0 for a judge, 1 for the application's own score, 2 for an offline scorer; by the name's beginning.

    >>> [rank(name) for name in ("ragas_faithfulness", "app", "offline_groundedness")]
    [0, 1, 2]
    """
    if scorer.startswith("offline"):
        return OFFLINE
    if scorer == "app" or scorer.startswith(("app_", "app:", "app.")):
        return APP
    return JUDGE
