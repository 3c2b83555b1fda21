"""What a command says of a broker that does not answer or refuses: one line, with what to do."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from aiokafka.errors import KafkaError

    from streams.settings import Settings


def silence_clients() -> None:
    """For commands that answer once: what the client logs on the way is said in their one line."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def unreachable(settings: Settings) -> str:
    """That no broker answers, without its name, and what to do about it."""
    protocol = f"does not speak GLEANER_BROKER_PROTOCOL {settings.broker_protocol}"
    env = settings.state_dir / "env"
    here = f"; `. {env}` takes the embedded one that runs here" if env.is_file() else ""
    return f"cannot be reached, or {protocol}: start it, or set GLEANER_BROKERS to host:port{here}"


def said_of(settings: Settings, error: KafkaError) -> str:
    """The broker, and what is wrong with it."""
    from aiokafka.errors import KafkaConnectionError

    why = unreachable(settings) if isinstance(error, KafkaConnectionError) else str(error)
    return f"{settings.brokers}: {why}"
