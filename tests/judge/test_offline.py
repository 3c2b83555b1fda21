"""The offline scorer: what moves its number, that nothing else does, and what it is worth."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from examples.ragtruth import measure
from schemas.identity import Coordinates
from schemas.score import Score, ScoreRequest, Unscored, UnscoredReason
from streams.judges.base import MAX_CLAIM_CHARACTERS, MAX_CLAIMS, Scored
from streams.judges.offline import FLOOR, NAME, VERSION, score_request_now, verdict_of

ROOT = Path(__file__).parents[2]
RAGTRUTH = Path(
    os.environ.get("GLEANER_RAGTRUTH", ROOT.parent / "shared/data/ragtruth/ragtruth_train_sample.jsonl")
)
PASSAGES = [
    "The clinic opens at 8 in the morning. Dr. Wu sees children on Mondays.",
    "A visit costs 40 euros. The vaccine is not recommended for pregnant women.",
]


def value(answer: str, contexts: list[str] = PASSAGES, question: str = "When does it open?") -> float:
    verdict = verdict_of(question, answer, contexts)
    assert isinstance(verdict, Scored)
    return verdict.value


def test_order_of_a_few_answers() -> None:
    ladder = [
        "The clinic opens at eight in the morning.",
        "In the morning, at 8, is when the clinic opens its doors.",
        "The clinic opens at 9 in the morning.",
        "The clinic opens at 9, and Dr. Brown sees patients in Geneva.",
        "Geneva has many hospitals with excellent reputations around Europe.",
    ]
    values = [value(answer) for answer in ladder]
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == len(values)
    assert values[-1] < FLOOR


def test_one_invented_sentence_among_good_ones_lowers_the_whole() -> None:
    good = "The clinic opens at 8 in the morning. Dr. Wu sees children on Mondays. A visit costs 40 euros."
    assert value(good + " Parking is free near the harbour.") < 0.85 * value(good)


def test_a_negation_turned_round_costs_something() -> None:
    assert value("The vaccine is recommended for pregnant women.") < value(
        "The vaccine is not recommended for pregnant women."
    )


def test_saying_that_the_passages_do_not_say_is_faithful() -> None:
    assert value("The passages do not mention a telephone number.") == 1.0


def test_an_answer_without_a_word_to_look_up_is_unscored() -> None:
    for answer in ("Yes.", "…", "🙂", "---"):
        verdict = verdict_of("Is it?", answer, PASSAGES)
        assert not isinstance(verdict, Scored)
        assert verdict.reason is UnscoredReason.NO_STATEMENTS


def test_scripts_without_spaces_are_compared_by_character() -> None:
    contexts = ["診療所は朝八時に開きます。"]
    assert value("診療所は朝八時に開きます。", contexts) > 2 * value("駐車場は無料です。", contexts)


def test_a_score_stays_small_however_long_the_answer() -> None:
    verdict = verdict_of("q", "The clinic opens. " * 5000 + "x" * 100_000, PASSAGES)
    assert isinstance(verdict, Scored)
    assert len(verdict.claims) <= MAX_CLAIMS
    assert max(len(claim.statement) for claim in verdict.claims) <= MAX_CLAIM_CHARACTERS
    assert "only the first" in verdict.reason


@pytest.mark.parametrize(
    "answer",
    [
        "." + " " * 600_000 + "x y",
        "- " * 300_000,
        '. "' * 200_000,
        "a'" * 300_000,
        "1," * 300_000,
        "\n" * 600_000,
    ],
    ids=["spaces", "dashes", "quotes", "apostrophes", "digits", "lines"],
)
def test_hostile_text_takes_seconds_not_hours(answer: str) -> None:
    begun = time.process_time()
    verdict_of("q", answer, PASSAGES)
    assert time.process_time() - begun < 15


@given(st.text(min_size=1), st.text(min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_any_text_gives_a_number_from_0_to_1_or_a_reason(
    question: str, answer: str, contexts: list[str]
) -> None:
    verdict = verdict_of(question, answer, contexts)
    if isinstance(verdict, Scored):
        assert 0 <= verdict.value <= 1
        assert verdict.low == (verdict.value < FLOOR)
    else:
        assert verdict.reason is UnscoredReason.NO_STATEMENTS


def test_the_number_does_not_depend_on_the_hash_seed() -> None:
    script = (
        "from streams.judges.offline import verdict_of\n"
        "print(verdict_of('Who?', 'Dr. Wu sees children. The visit in Geneva costs 50 euros.',"
        f" {PASSAGES!r}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            cwd=ROOT,
            check=True,
            capture_output=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1


def request(answer: str | None) -> ScoreRequest:
    at = Coordinates("s", "traces", 0, 7)
    return ScoreRequest(
        app="a", trace_id="t", time=1, at=at, question="When?", answer=answer, contexts=tuple(PASSAGES)
    )


def test_replay_scores_without_a_loop() -> None:
    score = score_request_now(request("The clinic opens at 8."))
    assert isinstance(score, Score)
    assert (score.app, score.trace_id, score.scorer, score.scorer_version) == ("a", "t", NAME, VERSION)
    assert score.identity() == score_request_now(request("The clinic opens at 8.")).identity()


def test_replay_of_a_blank_answer_is_unscored_under_the_same_identity() -> None:
    unscored = score_request_now(request(" "))
    assert isinstance(unscored, Unscored)
    assert unscored.reason is UnscoredReason.NO_ANSWER
    assert unscored.identity() == score_request_now(request("The clinic opens at 8.")).identity()


@pytest.mark.skipif(not RAGTRUTH.is_file(), reason="the RAGTruth sample is not here: set GLEANER_RAGTRUTH")
def test_it_ranks_as_documented_on_ragtruth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "RESAMPLES", 20)  # the interval is not what is asserted here
    assert measure.main([str(RAGTRUTH)]) == 0
    reports = {row["task"]: row for row in map(json.loads, capsys.readouterr().out.splitlines()[1:])}
    assert reports["QA"]["auroc"] == pytest.approx(0.763, abs=0.002)
    assert reports["QA"]["flagged"] == pytest.approx(0.2, abs=0.01)
    assert reports["QA"]["precision"] == pytest.approx(0.748, abs=0.01)
    assert reports["Summary"]["auroc"] == pytest.approx(0.648, abs=0.005)
    documented = (ROOT / "docs/scoring.md").read_text()
    for task in ("QA", "Summary"):
        for number in ("auroc", "precision"):
            assert f"{reports[task][number]:.3f}" in documented
