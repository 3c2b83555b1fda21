"""What a command says of a broker that does not answer or refuses: one line, with what to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka.errors import KafkaError

    from streams.settings import Settings


class _Refusals(logging.Handler):
    """Keeps why a broker refused: the client logs it, and raises only that there was no connection."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.latest: str | None = None

    def emit(self, record: logging.LogRecord) -> None:
        from aiokafka.errors import KafkaConnectionError, KafkaError

        for said in record.args if isinstance(record.args, tuple) else ():
            if isinstance(said, KafkaError) and not isinstance(said, KafkaConnectionError):
                self.latest = str(said)


_refusals = _Refusals()


def silence_clients() -> None:
    """For commands that answer once: what the client logs on the way is said in their one line."""
    client = logging.getLogger("aiokafka")
    client.propagate, _refusals.latest = False, None
    if _refusals not in client.handlers:
        client.addHandler(_refusals)


def unreachable(settings: Settings) -> str:
    """That no broker answers, without its name, and what to do about it; or why the last one refused."""
    if _refusals.latest is not None:
        return _refusals.latest
    protocol = f"does not speak GLEANER_BROKER_PROTOCOL {settings.broker_protocol}"
    env = settings.state_dir / "env"
    here = f"; `. {env}` takes the embedded one that runs here" if env.is_file() else ""
    return f"cannot be reached, or {protocol}: start it, or set GLEANER_BROKERS to host:port{here}"


def said_of(settings: Settings, error: KafkaError) -> str:
    """The broker, and what is wrong with it."""
    from aiokafka.errors import KafkaConnectionError

    why = unreachable(settings) if isinstance(error, KafkaConnectionError) else str(error)
    return f"{settings.brokers}: {why}"
