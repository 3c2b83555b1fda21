"""Which scorer a deployment uses: the judge where one is configured, else the offline scorer."""

from __future__ import annotations

from streams.judges.base import Scorer
from streams.judges.budget import Budgeted
from streams.judges.offline import OfflineScorer
from streams.settings import Settings


def scorer_for(settings: Settings) -> Scorer:
    """The scorer of these settings.

    Raises ``JudgeMissing`` where a judge is configured but can't be made: falling back to the offline
    scorer would change the scale of every number without a word.
    """
    return judge_for(settings) if settings.judge_url else OfflineScorer()


def judge_for(settings: Settings) -> Scorer:
    """The LLM judge of these settings, within its budget. Imports ragas, which takes seconds."""
    from streams.judges.ragas import JudgeMissing, RagasScorer

    if not settings.judge_url:
        raise JudgeMissing("judge_url is empty: set GLEANER_JUDGE_URL and GLEANER_JUDGE_MODEL")
    judge = RagasScorer(
        settings.judge_url,
        settings.judge_key.get_secret_value(),
        settings.judge_model,
        concurrency=settings.judge_concurrency,
        seconds=settings.judge_seconds,
    )
    return Budgeted(judge, settings.judge_tokens_per_hour) if settings.judge_tokens_per_hour else judge
