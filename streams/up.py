"""All roles in one process group: started in order, restarted where they say so, ended together."""

from __future__ import annotations

import contextlib
import logging
import os
import shlex
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from streams.one_up import only_one
from streams.settings import EXIT_RESTART, Settings

log = logging.getLogger(__name__)

ROLES = ("store", "notify", "judge", "worker")
"""In the order of starting; ended in the reverse order, so that what flows still finds its reader."""
RESTARTS = 5
"""Restarts of a role within ``RESTART_SECONDS`` before the whole group gives up."""
RESTART_SECONDS = 120.0
STOP_SECONDS = 30.0
BROKER_SECONDS = 60.0
"""Until the embedded broker must have started; on an idle machine it takes half a second."""


class Exit(NamedTuple):
    role: str
    status: int


class Group:
    """Child processes of this one. Only these are ever signalled, each by its own pid."""

    def __init__(self, environment: Mapping[str, str], logs: Path | None = None) -> None:
        self.environment, self.logs = dict(environment), logs
        self.children: dict[str, subprocess.Popen[bytes]] = {}
        self._started: dict[str, list[float]] = {}

    def start(self, role: str) -> None:
        # -P: a folder named schemas in the current directory must not shadow ours.
        command = [sys.executable, "-P", "-m", "streams.cli", role]
        output = None
        if self.logs is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            output = (self.logs / f"{role}.log").open("ab")
        try:
            self.children[role] = subprocess.Popen(
                command, env=os.environ | self.environment, stdout=output, stderr=output
            )
        finally:
            if output is not None:
                output.close()
        self._started.setdefault(role, []).append(time.monotonic())

    def check(self) -> Exit | None:
        """Restart the roles that asked for it; the first role that ended for good, if any."""
        for role, child in list(self.children.items()):
            status = child.poll()
            if status is None:
                continue
            recent = [t for t in self._started[role] if time.monotonic() - t < RESTART_SECONDS]
            killed = status in (-signal.SIGKILL, -signal.SIGSEGV)
            if (status != EXIT_RESTART and not killed) or len(recent) > RESTARTS:
                return Exit(role, status)
            log.warning("%s ended with status %d: restarting it", role, status)
            self.start(role)
        return None

    def stop(self) -> dict[str, int]:
        """End the children in reverse order of starting; exit status by role."""
        statuses = {}
        for role, child in reversed(list(self.children.items())):
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
            try:
                statuses[role] = child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                log.error(
                    "%s did not end within %.0f s: killed; nothing acknowledged is lost", role, STOP_SECONDS
                )
                child.kill()
                statuses[role] = child.wait()
        return statuses


@contextlib.contextmanager
def embedded_broker(state_dir: Path) -> Iterator[dict[str, str]]:
    """A broker in a child process; yields the environment that points everything at it.

    As long as it runs, the file ``env`` in ``state_dir`` sets that environment in a shell.
    """
    state_dir.mkdir(parents=True, exist_ok=True)
    address_file = state_dir / "broker.address"
    address_file.unlink(missing_ok=True)
    child = subprocess.Popen([sys.executable, "-P", "-m", "streams.embedded", str(address_file)])
    try:
        deadline = time.monotonic() + BROKER_SECONDS
        while not address_file.exists():
            if child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the embedded broker did not start: see the lines above")
            time.sleep(0.05)
        environment = {
            "GLEANER_BROKERS": address_file.read_text(),
            "GLEANER_EMBEDDED": "true",
            "GLEANER_STREAM_ID": uuid.uuid4().hex,
            "GLEANER_STATE_DIR": str(state_dir.absolute()),
            "GLEANER_SESSION_TIMEOUT_MS": "6000",
        }
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
        # By rename: whoever waits for the file finds all of it.
        (state_dir / "env.new").write_text(exports)
        (state_dir / "env.new").replace(state_dir / "env")
        yield environment
    finally:
        # Whoever took it from now on would look for a broker that is gone.
        for name in ("env", "broker.address"):
            (state_dir / name).unlink(missing_ok=True)
        child.terminate()
        child.wait(10)


def run_up(settings: Settings, embedded: bool) -> int:
    """Run all roles until SIGTERM or SIGINT, or until one ends for good; returns the exit status.

    Raises ``AlreadyUp`` where another runs on the same state folder, before anything is started.
    """
    stopping = []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda n, _: stopping.append(n))
    with contextlib.ExitStack() as stack:
        stack.enter_context(only_one(settings.state_dir))
        environment = {"GLEANER_STATE_DIR": str(settings.state_dir), "GLEANER_BROKERS": settings.brokers}
        if embedded:
            environment = stack.enter_context(embedded_broker(settings.state_dir))
            print(f"broker at {environment['GLEANER_BROKERS']}", flush=True)
            print(f"in another terminal: . {settings.state_dir / 'env'}", flush=True)
        group = Group(environment)
        ended: Exit | None = None
        try:
            for role in ROLES:
                group.start(role)
            while not stopping and ended is None:
                time.sleep(0.2)
                ended = group.check()
        finally:
            group.stop()
    if ended is not None:
        print(f"gleaner up: {ended.role} ended with status {ended.status}", file=sys.stderr)
        return 1
    return 0
