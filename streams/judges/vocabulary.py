"""The little English that the offline scorer knows. A word more or less is a new version of the scorer."""

from __future__ import annotations

_STOP = """
    a about above after again all also although am an and any are aren't as at be because been before being
    below between both but by can can't cannot could couldn't did didn't do does doesn't doing don't down
    during each either etc few for from further had hadn't has hasn't have haven't having he her here hers him
    his how however i if in into is isn't it it's its itself just let like may me might more most must my no
    nor not now of off often on once one only or other our out over own per rather same she should shouldn't
    so some such than that that's the their them then there these they this those through thus to too under
    until up upon us use used using very via was wasn't we well were weren't what when where whether which
    while who whom whose why will with within without won't would wouldn't yet you your based given passage
    passages context provided mentioned according yes ok okay sure
"""
STOP_WORDS = frozenset(_STOP.split())
"""Words that say nothing of a claim's content, and those with which an answer speaks of its sources."""

_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
NUMBER_WORDS = {word: str(number) for number, word in enumerate(_NUMBERS.split(" "))}

SUFFIXES = (
    *("ations", "ation", "ingly", "ments", "ment", "ings", "edly", "ing"),
    *("ies", "ied", "ers", "ed", "er", "es", "ly", "s", "y", "e"),
)
"""Inflections that are cut off, longest first among those that end alike."""
