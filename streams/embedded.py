"""The embedded broker: librdkafka's in-process mock cluster, which speaks Kafka over loopback.

For the demo, the laptop and tests. It holds 5 MiB per partition in memory, forgets the oldest
silently, keeps nothing on disk, and has no transactions: it is not a place for data that matters.
"""

from __future__ import annotations

import ctypes
import glob
import os
import signal
import sys
from pathlib import Path

import confluent_kafka

from schemas.topics import ROLLING_STATE, TOPICS
from streams.settings import Settings

BANNER = (
    "embedded broker: in memory only, 5 MiB per partition, no durability, one machine. "
    "For trying things out; for production point GLEANER_BROKERS at Apache Kafka."
)


def start(topics: dict[str, int]) -> str:
    """Start a broker with these topics and partition counts; returns its address.

    It lives as long as this process. Raises ``RuntimeError`` where librdkafka refuses a topic, and
    ``OSError`` where the wheel of confluent-kafka has no library beside it.
    """
    here = os.path.dirname(confluent_kafka.__file__)
    found = glob.glob(os.path.join(here, "..", "confluent_kafka.libs", "librdkafka-*.so*"))
    if not found:
        raise OSError("confluent-kafka is installed without its bundled librdkafka: install its wheel")
    library = ctypes.CDLL(found[0])
    pointer, integer, text = ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p
    library.rd_kafka_conf_new.restype = pointer
    library.rd_kafka_new.restype = pointer
    library.rd_kafka_mock_cluster_new.restype = pointer
    library.rd_kafka_new.argtypes = [integer, pointer, text, ctypes.c_size_t]
    library.rd_kafka_mock_cluster_new.argtypes = [pointer, integer]
    library.rd_kafka_mock_cluster_bootstraps.restype = text
    library.rd_kafka_mock_cluster_bootstraps.argtypes = [pointer]
    library.rd_kafka_mock_topic_create.argtypes = [pointer, text, integer, integer]
    library.rd_kafka_conf_set.argtypes = [pointer, text, text, text, ctypes.c_size_t]
    configuration, problem = library.rd_kafka_conf_new(), ctypes.create_string_buffer(512)
    # Errors only: it would warn that a client that is nobody's client has no servers to talk to.
    library.rd_kafka_conf_set(configuration, b"log_level", b"3", problem, 512)
    handle = library.rd_kafka_new(0, configuration, problem, 512)
    cluster = library.rd_kafka_mock_cluster_new(handle, 1)
    for name, partitions in topics.items():
        if library.rd_kafka_mock_topic_create(cluster, name.encode(), partitions, 1):
            raise RuntimeError(f"the embedded broker refused topic {name}")
    address: bytes = library.rd_kafka_mock_cluster_bootstraps(cluster)
    return address.decode()


def main(address_file: str) -> None:
    """Run a broker with Gleaner's topics until SIGTERM; its address goes to ``address_file`` by rename."""
    # The parent ends us by pid; Ctrl-C reaches the whole group and must leave us for the last.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    settings = Settings()
    wanted = {settings.topic(t): settings.partitions_of(t) for t in TOPICS if t is not ROLLING_STATE}
    address = start(wanted)
    target = Path(address_file)
    temporary = target.with_suffix(".new")
    temporary.write_text(address)
    temporary.rename(target)
    parent = os.getppid()
    while signal.sigtimedwait({signal.SIGTERM}, 1.0) is None:
        if os.getppid() != parent:
            return  # whoever started us is gone


if __name__ == "__main__":
    main(sys.argv[1])
