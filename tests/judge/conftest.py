"""The fake judge, and whether ragas is there to talk to it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Iterator

import pytest

from streams.judges.base import Scorer
from streams.judges.fake_endpoint import FakeJudge
from streams.judges.ragas import RagasScorer

Judged = Callable[..., Scorer]


@pytest.fixture(scope="module")
def endpoint() -> Iterator[FakeJudge]:
    """A fake judge on loopback, for all tests of a file; its late answers take a minute."""
    with FakeJudge(sleep=60.0) as judge:
        yield judge


@pytest.fixture(scope="session")
def ragas_installed() -> None:
    """Skips aloud where ragas is not installed; fails instead where GLEANER_REQUIRE_RAGAS is set."""
    if importlib.util.find_spec("ragas") is not None:
        # Made once here: the first one imports ragas, which takes seconds that no test should time.
        RagasScorer("http://127.0.0.1:9/v1", "key", "good")
        return
    reason = "THE LLM JUDGE IS NOT TESTED: ragas is not installed (pip install 'gleaner[judge]')"
    if os.environ.get("GLEANER_REQUIRE_RAGAS", "0") not in ("", "0"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def ragas_scorer(endpoint: FakeJudge, ragas_installed: None) -> Judged:
    """Makes the real ragas scorer against the fake judge: the model's name is the fault."""

    def make(model: str, seconds: float = 20.0, concurrency: int = 8, url: str | None = None) -> Scorer:
        return RagasScorer(url or endpoint.url, "key", model, concurrency=concurrency, seconds=seconds)

    return make
