"""Broker, roles and a fake Slack: started together, ended together, none left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from sinks.slack.sandbox import APP_TOKEN, CHANNEL, TOKEN
from streams.commands.fail import Failed
from streams.demo.home import Home
from streams.settings import Settings
from streams.up import ROLES, Group, embedded_broker


class Stage:
    """What runs. The roles are child processes; the fake Slack lives in this process's event loop."""

    def __init__(self, home: Home, broker: dict[str, str]) -> None:
        self.home = home
        os.environ.update(broker)
        self.settings = Settings()
        self.group = Group(broker, home.logs)

    def start(self, slack_url: str) -> None:
        self.group.environment |= {
            "GLEANER_SLACK_URL": slack_url,
            "GLEANER_SLACK_TOKEN": TOKEN,
            "GLEANER_SLACK_CHANNEL": CHANNEL,
            "GLEANER_SLACK_APP_TOKEN": APP_TOKEN,
        }
        for role in ROLES:
            self.group.start(role)

    def check(self) -> None:
        """Restart what asks for it; raises ``Failed`` where a role has ended for good."""
        ended = self.group.check()
        if ended is not None:
            raise self.failed(f"{ended.role} ended with status {ended.status}", ended.role)

    def failed(self, why: str, role: str = "worker") -> Failed:
        return Failed(f"demo: {why}; its log is {self.home.log_of(role)}", status=1)


@contextlib.contextmanager
def stage(home: Home) -> Iterator[Stage]:
    """A broker, and roles that are ended whatever happens."""
    with embedded_broker(home.path) as broker:
        found = Stage(home, broker)
        try:
            yield found
        finally:
            found.group.stop()
