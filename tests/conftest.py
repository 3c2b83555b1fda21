"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.kafka.server import KafkaServer, missing


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """The address of a real Apache Kafka: GLEANER_TEST_BROKERS, else one that is started for this run.

    It is shared by the whole run, so take topics, groups and transactional ids of your own. Skips where
    there is no Kafka to be had, and fails instead where GLEANER_REQUIRE_KAFKA is set.
    """
    if brokers := os.environ.get("GLEANER_TEST_BROKERS"):
        yield brokers
        return
    if lacking := missing():
        reason = f"DELIVERY IS NOT TESTED: {lacking}, and GLEANER_TEST_BROKERS names no brokers"
        if os.environ.get("GLEANER_REQUIRE_KAFKA", "0") not in ("", "0"):
            pytest.fail(reason)
        pytest.skip(reason)
    with KafkaServer() as server:
        yield server.bootstrap
