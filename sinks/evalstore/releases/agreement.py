"""How far two reviewers agree, beyond what chance would have them agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import combinations
from typing import NamedTuple

from duckdb import DuckDBPyConnection


class Agreement(NamedTuple):
    """Of ``n`` clusters that both have a verdict on, ``same`` got the same one.

    ``kappa`` is Cohen's: (observed - expected) / (1 - expected), where ``expected`` is how often they would
    agree if each gave verdicts at random, as often as they did. 1 is full agreement, 0 what chance gives.
    None where both gave one and the same verdict throughout: there is nothing to tell chance from.
    """

    one: str
    other: str
    n: int
    same: int
    observed: float | None
    expected: float | None
    kappa: float | None


def cohen(one: str, other: str, pairs: Iterable[tuple[str, str]]) -> Agreement:
    """The agreement of two people's verdicts on the same things (Cohen, Educ. Psychol. Meas. 20, 1960).

    Misleads where n is small, which is why it is always given, and where one verdict is rare: kappa is then
    low although both nearly always say the same (Feinstein and Cicchetti, J. Clin. Epidemiol. 43, 1990).

    >>> pairs = [("a", "a")] * 20 + [("a", "b")] * 5 + [("b", "a")] * 10 + [("b", "b")] * 15
    >>> round(cohen("ann", "ben", pairs).kappa, 4)
    0.4
    """
    given = list(pairs)
    n, same = len(given), sum(mine == theirs for mine, theirs in given)
    if not n:
        return Agreement(one, other, 0, 0, None, None, None)
    mine, theirs = Counter(pair[0] for pair in given), Counter(pair[1] for pair in given)
    by_chance = sum(mine[verdict] * theirs[verdict] for verdict in mine)
    kappa = None if by_chance == n * n else (same * n - by_chance) / (n * n - by_chance)
    return Agreement(one, other, n, same, same / n, by_chance / (n * n), kappa)


def agreements(con: DuckDBPyConnection) -> list[Agreement]:
    """Of every two reviewers who have a verdict on some cluster both, those with the most in common first."""
    said: dict[str, dict[str, str]] = {}
    query = "SELECT actor, cluster_id, verdict FROM cluster_verdicts ORDER BY ALL"
    for actor, cluster, verdict in con.execute(query).fetchall():
        said.setdefault(actor, {})[cluster] = verdict
    found = []
    for one, other in combinations(sorted(said), 2):
        both = sorted(said[one].keys() & said[other].keys())
        if both:
            found.append(cohen(one, other, [(said[one][each], said[other][each]) for each in both]))
    return sorted(found, key=lambda each: (-each.n, each.one, each.other))
