"""Commands that run a role until it is told to stop."""

from __future__ import annotations

from typing import Annotated

import typer

from streams.commands.fail import Failed
from streams.settings import Settings

ROLES = ("worker", "rolling", "judge", "store", "notify")


def worker(
    only: Annotated[str | None, typer.Option(help="ingest or rolling; without it both, and harvest")] = None,
) -> None:
    """Ingest, harvest and rolling: run as many as there are partitions.

    Example: GLEANER_BROKERS=kafka:9092 gleaner worker
    """
    from streams.worker import run_worker

    if only not in (None, "ingest", "rolling"):
        raise Failed(f"--only: is ingest or rolling, not {only}")
    run_worker(Settings(), only)  # type: ignore[arg-type]


def judge() -> None:
    """Score the faithfulness of sampled traces: offline, or by a judge model if one is configured.

    Example: GLEANER_JUDGE_URL=http://localhost:8000/v1 GLEANER_JUDGE_MODEL=judge gleaner judge
    """
    from streams import judge as role
    from streams.roles import run_role

    run_role(role.run, Settings())


def store() -> None:
    """Own the eval store: write cases, incidents and signals, publish snapshots for readers.

    Example: GLEANER_STORE_PATH=/var/lib/gleaner/store.duckdb gleaner store
    """
    from streams.roles import run_role
    from streams.store import role

    run_role(role.run, Settings())


def notify() -> None:
    """Own the incidents and their delivery to Slack (to the console without a token).

    Example: GLEANER_SLACK_TOKEN=xoxb-… GLEANER_SLACK_CHANNEL=C0123 gleaner notify
    """
    from streams.notify import role
    from streams.roles import run_role

    run_role(role.run, Settings())


def health(
    roles: Annotated[list[str], typer.Argument(help="worker, rolling, judge, store or notify; several")],
) -> None:
    """Exit 0 if the roles have made their rounds on this machine in the last 30 seconds, else 1.

    A worker makes two: its own (ingest and harvest), and those of rolling in the same process.

    Example: gleaner health worker rolling
    """
    from streams.health import STALE_SECONDS, silence

    for role in roles:
        if role not in ROLES:
            raise Failed(f"role: is one of {', '.join(ROLES)}, not {role}")
    settings = Settings()
    for role in roles:
        seconds = silence(settings, role)
        if seconds is None:
            raise Failed(f"{role} has not run here", status=1)
        if seconds > STALE_SECONDS:
            raise Failed(f"{role} has made no round for {seconds:.0f} s", status=1)
        typer.echo(f"{role} made a round {seconds:.0f} s ago")


def up(
    embedded: Annotated[bool, typer.Option("--embedded", help="start the embedded broker, too")] = False,
) -> None:
    """Run all roles in one process group, restarting those that ask for it.

    Example: gleaner up --embedded
    """
    from streams.embedded import BANNER
    from streams.logs import configure
    from streams.one_up import AlreadyUp
    from streams.up import run_up

    settings = Settings()
    configure(settings)
    if embedded:
        typer.echo(BANNER, err=True)
    try:
        status = run_up(settings, embedded)
    except AlreadyUp as error:
        raise Failed(str(error)) from None
    raise typer.Exit(status)


COMMANDS = (worker, judge, store, notify, up, health)
