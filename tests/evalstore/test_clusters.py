"""Which cases are one failure: what is compared, how it is found, and that order and batches don't matter."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sinks.evalstore import clusters as module
from sinks.evalstore.clusters import Clusters, Content, Known, Merged, Placed, Via
from sinks.evalstore.minhash import bands, found
from sinks.evalstore.runs import Runs
from sinks.evalstore.shingles import KEPT, Hashes, Shingled, hash64, shingle, similarity, words

VOCABULARY = [f"{a}{b}{c}" for a in "bdfgklmnprst" for b in "aeiou" for c in ("n", "rk", "sto", "vel")]


def sentence(chance: random.Random, length: int) -> str:
    return " ".join(chance.choices(VOCABULARY, k=length))


def changed(chance: random.Random, text: str) -> str:
    """One word is another; case, punctuation and white space differ."""
    found = text.split()
    found[chance.randrange(len(found))] = "changed"
    return "  ".join(word.upper() for word in found).replace("  ", ",\n ", 1) + "?!"


def content(name: str, question: str | None, answer: str | None = None, app: str = "shop") -> Content:
    return Content(name, app, question, answer, f"{question}|{answer}")


def groups(placed: Sequence[Placed], merged: Sequence[Merged]) -> set[frozenset[str]]:
    """The partition that rows describe."""
    into = {merge.absorbed: merge.cluster for merge in merged}
    found: dict[int, set[str]] = {}
    for row in placed:
        cluster = row.cluster
        while cluster in into:
            cluster = into[cluster]
        found.setdefault(cluster, set()).add(row.case_id)
    return {frozenset(members) for members in found.values()}


def shingles_of(text: str) -> np.ndarray[tuple[int], np.dtype[np.uint32]]:
    return shingle([(text, None)]).hashes


def test_words_are_compared_without_case_punctuation_and_white_space() -> None:
    assert words("Don’t\u00a0 STOP – it's\tfine…") == words("dont stop its fine")
    assert words("Straße ﬁne") == ["strasse", "fine"]
    assert words("退款政策 v2") == ["退", "款", "政", "策", "v2"]
    assert words("?!") == words(None) == []


@pytest.mark.parametrize(("length", "expected"), [(15, 14 / 18), (11, 10 / 14), (30, 29 / 33)])
@pytest.mark.parametrize("where", [0, 5, -1])
def test_one_word_changed_costs_two_shingles_wherever_it_is(length: int, expected: float, where: int) -> None:
    text = [f"word{n}" for n in range(length)]
    other = [*text]
    other[where] = "other"
    assert similarity(shingles_of(" ".join(text)), shingles_of(" ".join(other))) == pytest.approx(expected)


def test_question_and_answer_are_two_texts() -> None:
    texts = [("a b", "c d"), ("a b c d", None), (None, "a b c d"), ("c d", "a b")]
    shingled = shingle(texts)
    sets = np.split(shingled.hashes, np.cumsum(shingled.counts)[:-1])
    assert [len(one) for one in sets] == [6, 5, 5, 6]
    assert similarity(sets[1], sets[2]) == pytest.approx(3 / 7)  # the words between the ends
    assert shingle([("?", None), (None, None), ("x", "!")]).counts.tolist() == [0, 0, 2]


def test_long_texts_are_compared_by_a_sample() -> None:
    chance = random.Random(3)
    one = [chance.choice(VOCABULARY) + str(n) for n in range(4_000)]
    for share in (0.02, 0.05, 0.2):
        other = [word if chance.random() > share else word + "x" for word in one]
        a, b = shingles_of(" ".join(one)), shingles_of(" ".join(other))
        exact = len(set(a) & set(b)) / len(set(a) | set(b))
        assert similarity(a[:KEPT], b[:KEPT]) == pytest.approx(exact, abs=3 * 0.03)


def test_signatures_follow_the_s_curve() -> None:
    """At three similarities, the share of 4,000 pairs that agree in a band is the one promised."""
    chance = random.Random(5)
    salts = np.zeros(4_000, np.uint64)
    for kept in (6, 9, 13):
        pairs = []
        for number in range(4_000):
            own = [f"{chance.random()}" for _ in range(16)]
            pairs.append((own, own[:kept] + [f"{number} {n}" for n in range(16 - kept)]))
        # The shingles of one-word texts would share their ends: sets of numbers show the curve itself.
        flat = [[np.uint32(hash64(word) % 2**32) for word in side] for pair in pairs for side in pair]
        hashes = np.array([h for side in flat for h in side], np.uint32)
        keys = bands(Shingled(hashes, np.full(8_000, 16)), np.repeat(salts, 2))
        share = float((keys[::2] == keys[1::2]).any(axis=1).mean())
        expected = found(kept / (32 - kept))
        assert share == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 4_000) ** 0.5 + 0.001)


def planted(seed: int, pairs: int = 60, others: int = 200) -> tuple[list[Content], set[frozenset[str]]]:
    """Cases of which some have a near-duplicate, and the partition that they make."""
    chance = random.Random(seed)
    cases, truth = [], set()
    for number in range(others):
        text = sentence(chance, 15 + number % 20)
        name = f"case-{number}"
        cases.append(content(name, text))
        twins = {name}
        if number < pairs:
            twins.add(f"twin-{number}")
            cases.append(content(f"twin-{number}", changed(chance, text)))
        truth.add(frozenset(twins))
    return cases, truth


def test_planted_pairs_are_found_and_nothing_else() -> None:
    cases, truth = planted(1)
    random.Random(2).shuffle(cases)
    placed, merged = Clusters().place(cases)
    assert groups(placed, merged) == truth
    assert merged == []
    assert sum(row.via is Via.TEXT for row in placed) == 60
    assert all(row.similarity is not None and row.similarity > 0.77 for row in placed if row.via is Via.TEXT)


def test_independent_texts_are_never_linked() -> None:
    chance = random.Random(11)
    cases = [content(str(n), sentence(chance, 15), sentence(chance, 10)) for n in range(3_000)]
    placed, merged = Clusters().place(cases)
    assert {row.via for row in placed} == {Via.NEW}
    assert merged == []


@given(st.randoms(use_true_random=False), st.lists(st.integers(1, 40), min_size=1, max_size=8))
@settings(max_examples=25, deadline=None)
def test_neither_batches_nor_order_change_which_cases_are_together(
    chance: random.Random, sizes: list[int]
) -> None:
    """Chains of changes, so that clusters grow, and are linked by a case that comes between two of them."""
    cases = []
    for chain in range(12):
        text = sentence(chance, 16)
        for link in range(chance.randint(1, 5)):
            cases.append(content(f"{chain}-{link}", text, app=f"app-{chain % 2}"))
            text = changed(chance, text)
    whole, again = Clusters(), Clusters()
    placed, merged = whole.place(cases)
    rows: list[Placed] = []
    merges: list[Merged] = []
    for batch in batches(cases, sizes):
        some, more = again.place(batch)
        rows += some
        merges += more
    assert (rows, merges) == (placed, merged), "how it was split into batches shows"
    shuffled = [*cases]
    chance.shuffle(shuffled)
    assert groups(*Clusters().place(shuffled)) == groups(placed, merged), "the order shows"


def batches(cases: Sequence[Content], sizes: Sequence[int]) -> Iterator[Sequence[Content]]:
    first = 0
    while first < len(cases):
        for size in sizes:
            yield cases[first : first + size]
            first += size


def test_a_case_between_two_clusters_merges_the_younger_into_the_older() -> None:
    text = [f"word{n}" for n in range(16)]
    left = " ".join(["left", *text[1:]])
    right = " ".join([*text[:-1], "right"])
    far = " ".join(["left", *text[1:-1], "right"]).replace("word8", "eight")
    clusters = Clusters()
    (first, second), _ = clusters.place([content("first", far), content("second", " ".join(text))])
    assert (first.via, second.via) == (Via.NEW, Via.NEW)
    (third,), merged = clusters.place([content("third", left.replace("word8", "eight"))])
    assert (third.cluster, third.via) == (first.cluster, Via.TEXT)
    (fourth,), more = clusters.place([content("fourth", left)])
    assert merged == []
    assert more == [Merged(second.cluster, first.cluster, 3)], "the older id stands"
    assert fourth.cluster == first.cluster
    (fifth,), _ = clusters.place([content("fifth", right)])
    assert fifth.cluster == first.cluster, "what joins the absorbed one belongs to the other now"


def test_apps_share_nothing_and_content_counts_without_text() -> None:
    text = sentence(random.Random(1), 20)
    placed, _ = Clusters().place(
        [
            content("a", text),
            content("b", text, app="desk"),
            Content("c", "shop", None, None, "structured answer"),
            Content("d", "shop", None, None, "structured answer"),
            Content("e", "shop", text, None, None),
            Content("f", "shop", None, None, None),
            content("g", "…"),
            content("h", "?"),
        ]
    )
    assert len({row.cluster for row in placed}) == 7
    assert placed[2].cluster == placed[3].cluster
    assert [row.via for row in placed] == [
        Via.NEW, Via.NEW, Via.NEW, Via.CONTENT, Via.ALONE, Via.ALONE, Via.NEW, Via.NEW
    ]  # fmt: skip
    assert [row.place for row in placed] == [0, 1, 2, None, None, None, 3, 4]


@pytest.mark.parametrize("window", [module.WINDOW, 40])
@pytest.mark.parametrize("cut", [1, 57, 130, 259])
def test_an_index_that_was_built_again_goes_on_as_the_one_that_was_not(window: int, cut: int) -> None:
    cases, _ = planted(4)
    random.Random(9).shuffle(cases)
    # Contents that come again keep their place in a small window, or get a new one.
    cases = [
        case for n, case in enumerate(cases) for case in ([case, cases[n // 2]] if n % 3 == 0 else [case])
    ]
    cases = [case._replace(case_id=f"{case.case_id}/{n}") for n, case in enumerate(cases)]
    unbroken = Clusters(window=window)
    placed, merged = unbroken.place(cases[:cut])
    expected = unbroken.place(cases[cut:])
    restored = Clusters(
        cut, max((row.place + 1 for row in placed if row.place is not None), default=0), window
    )
    restored.restore(known(cases, placed, merged, window))
    assert restored.place(cases[cut:]) == expected


def known(
    cases: Sequence[Content], placed: Sequence[Placed], merged: Sequence[Merged], window: int
) -> Iterator[list[Known]]:
    """What the store would give back: see ``clustering``."""
    into = {merge.absorbed: merge.cluster for merge in merged}
    born: dict[int, int] = {}
    rows = []
    for row, case in zip(placed, cases, strict=False):
        cluster = row.cluster
        while cluster in into:
            cluster = into[cluster]
        born.setdefault(cluster, row.seq)
        if row.place is not None:
            rows.append((row.place, cluster, case))
    end = max((place + 1 for place, *_ in rows), default=0)
    texts = [Known(place, c, born[c], case) for place, c, case in rows if place >= end - window]
    for first in range(0, len(texts), 7):
        yield texts[first : first + 7]


def test_what_recurs_outlives_the_window() -> None:
    chance = random.Random(2)
    recurring = sentence(chance, 20)
    clusters = Clusters(window=20)
    ids = set()
    for number in range(60):
        rows, _ = clusters.place(
            [
                content(f"again-{number}", recurring),
                *(content(f"{number}-{n}", sentence(chance, 20)) for n in range(4)),
            ]
        )
        ids.add(rows[0].cluster)
    assert len(ids) == 1
    (late,), _ = clusters.place([content("late", changed(chance, recurring))])
    assert late.cluster in ids
    before = clusters.size
    clusters.place([content(f"more-{n}", sentence(chance, 20)) for n in range(500)])
    clusters.place([content("last", sentence(chance, 20))])
    assert clusters.size < 3 * before, "what is out of the window is freed"
    (gone,), _ = clusters.place([content("gone", recurring)])
    assert gone.via is Via.NEW, "not seen for longer than the window"


def test_templates_take_linear_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Comparisons are counted: of a thousand texts of one template, each costs a bounded number."""
    compared = 0

    def counting(one: Hashes, other: Hashes) -> float:
        nonlocal compared
        compared += 1
        return similarity(one, other)

    monkeypatch.setattr(module, "similarity", counting)
    chance = random.Random(6)
    alike = [
        f"please tell me where my order {n} is and when it will come to my new house" for n in range(1_000)
    ]
    placed, merged = Clusters().place([content(f"a{n}", text) for n, text in enumerate(alike)])
    assert len(groups(placed, merged)) == 1
    assert compared <= 2_000
    compared = 0
    half = [f"please tell me where is my {sentence(chance, 5)}" for _ in range(1_000)]
    Clusters().place([content(f"h{n}", text) for n, text in enumerate(half)])
    assert compared <= 1_000 * module.COMPARED


@given(st.lists(st.lists(st.integers(0, 9), max_size=12), max_size=12), st.integers(0, 30), st.integers(1, 4))
def test_runs_find_what_a_dictionary_would(added: list[list[int]], first: int, most: int) -> None:
    runs, plain, place = Runs(), dict[int, list[int]](), 0
    for batch in added:
        runs.add(np.array(batch, np.uint64), np.arange(place, place + len(batch)))
        for key in batch:
            plain.setdefault(key, []).append(place)
            place += 1
    keys = np.arange(10, dtype=np.uint64)
    index, places = runs.find(keys, np.full(10, first), most)
    expected = [(key, p) for key in range(10) for p in [p for p in plain.get(key, []) if p >= first][:most]]
    assert list(zip(index.tolist(), places.tolist(), strict=True)) == expected
    runs.drop(first)
    index, places = runs.find(keys, np.zeros(10, np.int64), most)
    assert list(zip(index.tolist(), places.tolist(), strict=True)) == expected
