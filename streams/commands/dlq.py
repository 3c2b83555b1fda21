"""``gleaner dlq``: events that were refused, and the way back for them."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from schemas.base import rfc3339
from schemas.dead_letter import Refusal
from streams.commands.broker import said_of, silence_clients
from streams.commands.cases import parse_since
from streams.commands.fail import Failed
from streams.commands.printable import json_line, one_line, printable
from streams.commands.reader import Store, reader
from streams.settings import Settings
from streams.wall import now_ms

if TYPE_CHECKING:
    from sinks.evalstore import Letter, LetterFilter

ROWS = 20
TOPICS = ("traces", "feedback", "changes")

app = typer.Typer(no_args_is_help=True, help="Events that were refused: list, show, put back.")

Reason = Annotated[str | None, typer.Option(help=f"only of this reason: {', '.join(Refusal)}")]
OfTopic = Annotated[str | None, typer.Option("--topic", help=f"only of this topic: {', '.join(TOPICS)}")]
Since = Annotated[str | None, typer.Option(help="refused since: 90m, 24h, 7d, 2026-03-01 or RFC 3339")]


@app.command("list")
def list_command(
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    own: Annotated[
        bool, typer.Option("--own", help="records of Gleaner's own that could not be read or stored: a fault")
    ] = False,
    originals: Annotated[
        bool, typer.Option("--originals", help="the events themselves, one a line: to mend and publish")
    ] = False,
    limit: Annotated[
        int | None,
        typer.Option(min=1, help=f"at most so many; default {ROWS}, with --json or --originals all"),
    ] = None,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per line")] = False,
) -> None:
    """List refused events, the newest first, and how many there are of each kind.

    What an application got wrong is mended in a file (--originals) and published with gleaner publish. The
    file holds what the application's privacy policy lets the store keep.

    Example: gleaner dlq list --reason invalid_field --since 24h
    """
    from sinks.evalstore import letter_counts, letters

    everything = as_json or originals
    wanted = _filter(reason, topic, since)._replace(own=own, limit=limit or (None if everything else ROWS))
    with reader(store) as con:
        found, counts = letters(con, wanted), letter_counts(con, wanted)
    if originals:
        for letter in found:
            typer.echo(json_line_of(letter))
        return
    if as_json:
        for letter in found:
            typer.echo(json_line(_plain(letter)))
        return
    for letter in found:
        typer.echo(
            f"{letter.id[:8]}  {_when(letter)}  {letter.topic or 'store':<9} {one_line(letter.message)}"
        )
    total = sum(n for _, _, n in counts)
    if not total:
        typer.echo("nothing was refused" + (" of that kind" if (reason or topic or since) else ""))
        return
    typer.echo(f"{len(found)} of {total:,} refused: " + ", ".join(_count(*one) for one in counts[:8]))
    if len(counts) > 8:
        typer.echo(f"and {len(counts) - 8} kinds more: --json has all")


@app.command("show")
def show(
    letter_id: Annotated[
        str, typer.Argument(metavar="id", help="a refused event's id, or the beginning of one")
    ],
    original: Annotated[bool, typer.Option("--original", help="nothing but the event, as it came")] = False,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="as one JSON object")] = False,
) -> None:
    """Show one refused event: what is wrong with it, where it stood, and what the store keeps of it.

    That is its first 64 KiB, less what the application's privacy policy withholds.

    Example: gleaner dlq show 3f2a91c0 --original > event.json
    """
    from sinks.evalstore import find_letter

    with reader(store) as con:
        letter = find_letter(con, letter_id)
    if original:
        # To a terminal what cannot steer it; to a file what came.
        typer.echo(printable(letter.original) if sys.stdout.isatty() else letter.original)
        return
    plain = _plain(letter)
    if as_json:
        typer.echo(json_line(plain))
        return
    for name in ("id", "reason", "field", "message", "time", "at", "size", "sha256", "original_encoding"):
        if plain[name] is not None:
            typer.echo(f"{name:<18} {one_line(plain[name])}")
    typer.echo("\n" + printable(letter.original))
    if hashlib.sha256(letter.original.encode()).hexdigest() != letter.sha256:
        typer.echo(f"\nnot as it came: that is {letter.size:,} bytes, on the topic while that keeps it")


@app.command("replay")
def replay(
    ids: Annotated[list[str] | None, typer.Argument(help="ids, or the beginnings of them")] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="all that --reason, --topic and --since leave")
    ] = False,
    reason: Reason = None,
    topic: OfTopic = None,
    since: Since = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would be done, and do nothing")
    ] = False,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object per event")] = False,
) -> None:
    """Put refused events back that would be accepted now: after an upgrade, or with a higher limit.

    What would be refused again stays, and is named; exit status 1 if any does. An event keeps its time: an
    old one makes its case, and is too late for alarms. Put back twice, it counts once.

    Example: gleaner dlq replay --all --reason unsupported_version
    """
    from aiokafka.errors import KafkaError

    from sinks.evalstore import find_letter, letters
    from streams.put_back import put_all_back

    if bool(ids) == everything:
        raise Failed("say which: ids, or --all with --reason, --topic or --since to narrow it")
    if ids and (reason or topic or since):
        raise Failed("--reason, --topic and --since narrow --all, and ids are given")
    wanted = _filter(reason, topic, since)
    with reader(store) as con:
        found = [find_letter(con, one) for one in ids] if ids else letters(con, wanted)
    settings = Settings()
    try:
        silence_clients()
        outcomes = asyncio.run(put_all_back(settings, found, dry_run))
    except KafkaError as error:
        raise Failed(said_of(settings, error), status=1) from error
    for letter, stays in outcomes:
        if as_json:
            typer.echo(
                json_line({"id": letter.id, "topic": letter.topic, "replayed": not stays, "stays": stays})
            )
        elif stays:
            typer.echo(f"{letter.id[:8]} stays: {one_line(stays)}", err=True)
    back = sum(stays is None for _, stays in outcomes)
    if not as_json:
        typer.echo(f"{back} of {len(outcomes)} {'would be ' if dry_run else ''}put back")
    if back < len(outcomes):
        raise typer.Exit(1)


def json_line_of(letter: Letter) -> str:
    """A refused event as a line for a file: with the time that it came at, if it can be read and has none."""
    import orjson

    from schemas.codec import Element
    from streams.steps.put_back import timed

    try:
        value = orjson.loads(letter.original)
    except orjson.JSONDecodeError:
        return one_line(letter.original)
    if isinstance(value, dict):
        value = timed(Element(value), letter.broker_time or 0)
    return json_line(value)


def _filter(reason: str | None, topic: str | None, since: str | None) -> LetterFilter:
    from sinks.evalstore import LetterFilter

    if reason is not None and reason not in set(Refusal):
        raise Failed(f"--reason: is one of {', '.join(Refusal)}, not {printable(reason)}")
    if topic is not None and topic not in TOPICS:
        raise Failed(f"--topic: is one of {', '.join(TOPICS)}, not {printable(topic)}")
    after = None if since is None else parse_since(since, now_ms())
    return LetterFilter(reason, topic, after)


def _plain(letter: Letter) -> dict[str, Any]:
    plain = letter._asdict()
    where = [plain.pop(name) for name in ("stream", "topic", "partition", "offset", "element")]
    broker_time = plain.pop("broker_time")
    plain["time"] = None if broker_time is None else rfc3339(broker_time)
    plain["at"] = None if where[1] is None else where
    return plain


def _when(letter: Letter) -> str:
    return (
        "a store's       "
        if letter.broker_time is None
        else rfc3339(letter.broker_time)[:16].replace("T", " ")
    )


def _count(reason: str, field: str | None, n: int) -> str:
    return f"{n:,} {reason}" + (f" ({one_line(field)})" if field else "")
