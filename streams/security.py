"""How roles speak to a secured broker: TLS, SASL, or both. In the words of each client that they use."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from streams.settings import Settings

if TYPE_CHECKING:
    from faust.types.auth import CredentialsT


def client_security(settings: Settings) -> dict[str, Any]:
    """Keyword arguments of aiokafka's clients. Raises ``ssl.SSLError`` where a file of the settings holds no
    certificate or key."""
    protocol = settings.broker_protocol
    options: dict[str, Any] = {"security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = _context(settings)
    if protocol.startswith("SASL"):
        options["sasl_mechanism"] = settings.broker_mechanism
        options["sasl_plain_username"] = settings.broker_username
        options["sasl_plain_password"] = settings.broker_password.get_secret_value()
    return options


def faust_credentials(settings: Settings) -> CredentialsT | None:
    """The same for Faust's ``broker_credentials``."""
    from faust import SASLCredentials, SSLCredentials  # a quarter of a second, for the worker alone

    protocol = settings.broker_protocol
    context = _context(settings) if protocol.endswith("SSL") else None
    if protocol.startswith("SASL"):
        return SASLCredentials(
            username=settings.broker_username,
            password=settings.broker_password.get_secret_value(),
            ssl_context=context,
            mechanism=settings.broker_mechanism,
        )
    return SSLCredentials(context) if context is not None else None


def librdkafka_security(settings: Settings) -> dict[str, str]:
    """The same for confluent-kafka's clients, which read the files themselves."""
    protocol = settings.broker_protocol
    options: dict[str, str] = {"security.protocol": protocol}
    files = {
        "ssl.ca.location": settings.broker_ca,
        "ssl.certificate.location": settings.broker_cert,
        "ssl.key.location": settings.broker_key or settings.broker_cert,
    }
    options |= {name: str(path) for name, path in files.items() if path is not None}
    if protocol.startswith("SASL"):
        options["sasl.mechanism"] = settings.broker_mechanism
        options["sasl.username"] = settings.broker_username
        options["sasl.password"] = settings.broker_password.get_secret_value()
    return options


def _context(settings: Settings) -> ssl.SSLContext:
    """Certificates are checked, and host names too: there is no setting that trusts everybody."""
    context = ssl.create_default_context(cafile=settings.broker_ca)
    if settings.broker_cert is not None:
        context.load_cert_chain(settings.broker_cert, settings.broker_key)
    return context
