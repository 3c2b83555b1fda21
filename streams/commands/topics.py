"""Commands on Gleaner's topics."""

from __future__ import annotations

import asyncio

import typer

from schemas.topics import TOPICS
from streams.commands.broker import said_of, silence_clients
from streams.commands.fail import Failed
from streams.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Gleaner's topics on your Kafka.")


@app.command("create")
def create() -> None:
    """Create the topics that are missing; existing ones stay as they are.

    Example: GLEANER_BROKERS=kafka:9092 gleaner topics create
    """
    from aiokafka.errors import KafkaError

    from streams.topics import ensure_topics

    settings = Settings()
    if settings.embedded:
        typer.echo("nothing to create: the embedded broker makes its topics as it starts")
        return
    try:
        silence_clients()
        created = asyncio.run(ensure_topics(settings))
    except KafkaError as error:
        raise Failed(said_of(settings, error), status=1) from error
    for name in created:
        typer.echo(f"created {name}")
    typer.echo(f"{len(created)} created, {len(TOPICS) - len(created)} were there")


@app.command("list")
def list_topics() -> None:
    """Print the table of topics: name, key, value, partitions, retention, cleanup.

    Example: gleaner topics list
    """
    settings = Settings()
    for topic in TOPICS:
        days = "for ever" if topic.retention_ms < 0 else f"{topic.retention_ms // 86_400_000} d"
        typer.echo(
            f"{settings.topic(topic):<16} {settings.partitions_of(topic):>3} partitions  {days:<8} "
            f"{topic.cleanup:<8} key {topic.key:<16} {topic.value}"
        )
