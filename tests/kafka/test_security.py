"""Settings of a secured broker: what each client is told, and what is refused with the field's name."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import certifi
import pytest
from faust import SASLCredentials, SSLCredentials
from pydantic import ValidationError

from streams.security import client_security, faust_credentials, librdkafka_security
from streams.settings import Settings

AUTHORITIES = Path(certifi.where())


def test_an_open_broker_needs_nothing() -> None:
    assert client_security(Settings()) == {"security_protocol": "PLAINTEXT"}
    assert faust_credentials(Settings()) is None


def test_tls_checks_certificates_and_names() -> None:
    settings = Settings(broker_protocol="SSL", broker_ca=AUTHORITIES)
    context = client_security(settings)["ssl_context"]
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert isinstance(faust_credentials(settings), SSLCredentials)
    assert librdkafka_security(settings) == {"security.protocol": "SSL", "ssl.ca.location": str(AUTHORITIES)}


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("protocol", ["SASL_PLAINTEXT", "SASL_SSL"])
def test_sasl_says_who_we_are_to_every_client(protocol: Any, mechanism: Any) -> None:
    settings = Settings(
        broker_protocol=protocol,
        broker_mechanism=mechanism,
        broker_username="gleaner",
        broker_password="mirabelle",  # type: ignore[arg-type]
    )
    told = client_security(settings)
    assert (told["sasl_mechanism"], told["sasl_plain_password"]) == (mechanism, "mirabelle")
    credentials = faust_credentials(settings)
    assert isinstance(credentials, SASLCredentials)
    assert (credentials.protocol.value, credentials.mechanism.value) == (protocol, mechanism)
    assert librdkafka_security(settings)["sasl.username"] == "gleaner"
    assert "mirabelle" not in repr(settings)


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"broker_protocol": "TLS"}, "broker_protocol", "'PLAINTEXT', 'SSL'"),
        ({"broker_ca": AUTHORITIES}, "broker_ca", "set GLEANER_BROKER_PROTOCOL to SSL"),
        (
            {"broker_protocol": "SSL", "broker_ca": "/no/such.pem"},
            "broker_ca",
            "there is no file /no/such.pem",
        ),
        (
            {"broker_protocol": "SASL_SSL"},
            "broker_username",
            "is needed: GLEANER_BROKER_PROTOCOL is SASL_SSL",
        ),
        ({"broker_protocol": "SASL_SSL", "broker_username": "g"}, "broker_password", "is needed"),
        ({"broker_username": "g"}, "broker_username", "would not be sent"),
        ({"broker_password": "p"}, "broker_password", "would not be sent"),
    ],
)
def test_what_would_not_work_is_refused(given: dict[str, Any], field: str, words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Settings(**given)
    assert {error["loc"][0]: words in error["msg"] for error in caught.value.errors()}.get(field)
