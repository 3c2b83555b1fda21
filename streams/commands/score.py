"""The command that scores answers from a file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streams.commands.fail import Failed
from streams.commands.printable import json_line, one_line
from streams.commands.progress import progress
from streams.settings import Settings


def score(
    file: Annotated[Path, typer.Argument(help="JSONL: one row {id, question, contexts[], answer} per line")],
    scorer: Annotated[
        str, typer.Option(help="offline, or ragas: the judge of GLEANER_JUDGE_URL and GLEANER_JUDGE_MODEL")
    ] = "offline",
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object per row")] = False,
) -> None:
    """Score the answers of a file for faithfulness to their contexts.

    Every row gives a line. A row that cannot be scored, or read, has no score and says why; it is never
    a zero. Scores of different scorers are on different scales.

    Example: gleaner score answers.jsonl --scorer offline --json
    """
    if scorer not in ("offline", "ragas"):
        raise Failed(f"--scorer: is offline or ragas, not {scorer}")
    try:
        with file.open("rb"):
            pass
    except OSError as error:
        raise Failed(f"{file}: {error.strerror}") from error
    asyncio.run(_score(file, scorer, as_json))


async def _score(file: Path, name: str, as_json: bool) -> None:
    from streams.judges.base import Scorer
    from streams.judges.factory import judge_for
    from streams.judges.offline import OfflineScorer
    from streams.judges.ragas import JudgeMissing
    from streams.judges.rows import score_lines
    from streams.lines import read_lines

    try:
        scorer: Scorer = judge_for(Settings()) if name == "ragas" else OfflineScorer()
    except JudgeMissing as error:
        raise Failed(f"--scorer ragas: {error}") from error
    scores: list[float] = []
    rows = 0
    try:
        with progress("scoring") as seen:
            async for row in score_lines(scorer, read_lines(file)):
                rows += 1
                seen(rows)
                if row.score is not None:
                    scores.append(row.score)
                if as_json:
                    typer.echo(json_line(row._asdict()))
                else:
                    number = "  –  " if row.score is None else f"{row.score:.3f}"
                    typer.echo(f"{number}  {one_line(row.id)}  {one_line(row.reason)}")
    finally:
        await scorer.close()
    if not as_json:
        mean = f", mean {sum(scores) / len(scores):.3f}" if scores else ""
        told = f"{scorer.name} {scorer.version}: {len(scores)} of {rows} answers scored{mean}"
        typer.echo(told, err=True)


COMMANDS = (score,)
