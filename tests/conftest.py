"""What every test may ask for."""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import randrange
from typing import Any

import pytest

from tests import processes
from tests.kafka.server import KafkaServer, missing

ABOUT_TESTS = (
    "GLEANER_TEST_",
    "GLEANER_REQUIRE_",
    "GLEANER_KAFKA_CACHE",
    "GLEANER_KILLS",
    "GLEANER_RAGTRUTH",
    "GLEANER_WRITE_GOLDEN",
)


def pytest_configure(config: pytest.Config) -> None:
    """What is set where the tests are run changes none: no setting of Gleaner's, no width of a terminal."""
    for name in list(os.environ):
        if name in ("COLUMNS", "LINES") or (name.startswith("GLEANER_") and not name.startswith(ABOUT_TESTS)):
            del os.environ[name]
    if config.getoption("numprocesses", None):
        # A set in a parameter is in the test's name, which is to be the same in each process.
        os.environ.setdefault("PYTHONHASHSEED", str(randrange(2**32)))


def pytest_report_header() -> str:
    return f"PYTHONHASHSEED: {os.environ.get('PYTHONHASHSEED', 'random')}"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):
        processes.put_in_order(items)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return processes.scheduler(config, log)


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
