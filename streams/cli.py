"""The command line: names and exit codes are a contract (0 done, 1 the answer is no, 2 wrong use)."""

from __future__ import annotations

import io
import sys
import traceback
from typing import NoReturn

import typer
from pydantic import ValidationError

from streams.commands import (
    backtest,
    backup,
    baselines,
    cases,
    digest,
    dlq,
    doctor,
    gate,
    incidents,
    loop,
    release,
    roles,
    rules,
    run,
    schema,
    score,
    scorers,
    signals,
    simulate,
    status,
    topics,
)
from streams.commands.fail import Failed
from streams.rules_file import RulesError
from streams.wrong_setting import WrongSetting

app = typer.Typer(
    name="gleaner",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Production feedback for LLM applications: signals from Kafka, pages in Slack, failures in DuckDB.",
)

for command in (
    *run.COMMANDS,
    *roles.COMMANDS,
    *status.COMMANDS,
    *doctor.COMMANDS,
    *simulate.COMMANDS,
    *score.COMMANDS,
    *scorers.COMMANDS,
    *incidents.COMMANDS,
    *digest.COMMANDS,
    *cases.COMMANDS,
    *gate.COMMANDS,
    *loop.COMMANDS,
    *signals.COMMANDS,
    *backtest.COMMANDS,
):
    app.command()(command)
app.add_typer(backup.app, name="backup")
app.add_typer(baselines.app, name="baselines")
app.add_typer(cases.app, name="cases")
app.add_typer(dlq.app, name="dlq")
app.add_typer(incidents.app, name="incidents")
app.add_typer(release.app, name="release")
app.add_typer(rules.app, name="rules")
app.add_typer(schema.app, name="schema")
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Run the command line; wrong settings and unreadable files are one line on standard error.

    Wrong use of a command itself is typer's to say: usage and one line, status 2. A fault of Gleaner's own
    is a traceback and status 2, too: 1 is an answer, and nobody gave it.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal that has no ✓ gets \u2713
            stream.reconfigure(errors="backslashreplace")
    for argument in sys.argv[1:]:
        if not argument.isascii() and any("\ud800" <= character <= "\udfff" for character in argument):
            _end(f"argument {argument!a}: is no UTF-8, which every text that Gleaner keeps is")
    try:
        app()
    except Failed as failure:
        _end(str(failure), failure.status)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        from streams.settings import is_secret

        field, *_ = first["loc"]
        name = "GLEANER_" + "_".join(str(part) for part in first["loc"]).upper()
        got = "" if is_secret(str(field)) else f" (got {first['input']!r})"
        _end(f"setting {name}: {first['msg'].removeprefix('Value error, ')}{got}")
    except (RulesError, WrongSetting) as error:
        _end(str(error))
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        _end(f"{where}{error.strerror or error}")
    except Exception as error:
        traceback.print_exc()
        _end(f"a fault of Gleaner's own, please report it: {type(error).__name__}")


def _end(message: str, status: int = 2) -> NoReturn:
    print(f"gleaner: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    main()
