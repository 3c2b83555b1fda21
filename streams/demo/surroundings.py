"""The settings of the demo: the defaults and its own, whatever is configured around it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator

from pydantic import SecretStr

from streams.demo.home import Home
from streams.settings import Settings

PREFIX = "GLEANER_"
HOUR_MS = 3_600_000


def environment(home: Home) -> dict[str, str]:
    """Every setting as an environment variable, so that no file and no other variable counts.

    The demo squeezes four hours into a second. What arrives half a second after its neighbour is
    hours behind it in event time: hence the lateness.
    """
    defaults = {
        PREFIX + name.upper(): _text(field.default)
        for name, field in Settings.model_fields.items()
        if field.default is not None
    }
    return defaults | {
        "GLEANER_STATE_DIR": str(home.path),
        "GLEANER_STORE_PATH": str(home.store),
        "GLEANER_LATENESS_MS": str(12 * HOUR_MS),
        "GLEANER_WINDOW_MS": str(HOUR_MS),
        "GLEANER_COMMIT_MS": "500",
        "GLEANER_GROUP_WAIT_SECONDS": "3",
    }


@contextlib.contextmanager
def surrounded(by: dict[str, str]) -> Iterator[None]:
    """The environment of this process and of its children, put back afterwards."""
    before = {name: value for name, value in os.environ.items() if name.startswith(PREFIX)}
    os.environ.update(by)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ.update(before)


def _text(value: object) -> str:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple | dict):
        return json.dumps(value)
    return str(value).lower() if isinstance(value, bool) else str(value)
