"""A real Apache Kafka on loopback, for tests and for a laptop without Docker.

    with KafkaServer() as server:
        connect(server.bootstrap)

    python -m tests.kafka.server --port 9092      # prints the address, runs until Ctrl-C

Java 17 and Maven are all it needs. Maven fetches the class path named in pom.xml once, into a cache;
after that nothing is downloaded. Brokers are KRaft nodes, each broker and controller in one process,
with their logs in a temporary directory that goes when they stop: nothing here survives, and nothing
here is secured but a listener that a test asks for. Where the settings differ from a production
cluster's, PROPERTIES says why.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self
from xml.etree import ElementTree

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

POM = Path(__file__).with_name("pom.xml")
HOST = "127.0.0.1"
JVM_OPTIONS = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-Djava.awt.headless=true")

PROPERTIES: dict[str, object] = {
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    "auto.create.topics.enable": "true",
    "num.partitions": 4,
    "message.max.bytes": 10 * 2**20,
    "replica.fetch.max.bytes": 10 * 2**20,
    # A test joins a group and wants its partitions now, not three seconds later.
    "group.initial.rebalance.delay.ms": 0,
    # Tests of a dead member don't wait out production's least timeout, which is six seconds.
    "group.min.session.timeout.ms": 1000,
    # Internal topics with few partitions: a start is quicker and nothing depends on their number.
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.num.partitions": 4,
    "share.coordinator.state.topic.num.partitions": 1,
    # Retention, compaction and expired transactions are seen within seconds, not minutes.
    "log.initial.task.delay.ms": 1000,
    "log.retention.check.interval.ms": 1000,
    "log.cleaner.backoff.ms": 1000,
    "log.cleaner.dedupe.buffer.size": 16 * 2**20,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    "log.segment.delete.delay.ms": 1000,
}

LOG4J = """\
status = error
appender.file.type = File
appender.file.name = file
appender.file.fileName = {log}
appender.file.layout.type = PatternLayout
appender.file.layout.pattern = %d %p %m (%c)%n
rootLogger.level = WARN
rootLogger.appenderRef.file.ref = file
"""


class KafkaUnavailable(RuntimeError):
    """Kafka can't be run here; the message is one line that says what is missing."""


def version() -> str:
    """The version of Kafka that pom.xml names."""
    found = ElementTree.parse(POM).findtext(".//{*}kafka.version")
    assert found, "pom.xml names no kafka.version"
    return found


def missing() -> str | None:
    """What this machine lacks to run Kafka, in one line; None if it lacks nothing.

    Maven is not missed where the class path has been fetched before.
    """
    lacks = [] if shutil.which("java") else ["java (17 or newer)"]
    if not shutil.which("mvn") and not _is_complete(cache_dir()):
        lacks.append("mvn (Maven, to fetch Kafka once)")
    return f"no Kafka without {' and '.join(lacks)} on the PATH" if lacks else None


def cache_dir() -> Path:
    """Where the class path is kept: GLEANER_KAFKA_CACHE, else ~/.cache/gleaner/kafka-<version>."""
    named = os.environ.get("GLEANER_KAFKA_CACHE")
    return Path(named) if named else Path.home() / ".cache" / "gleaner" / f"kafka-{version()}"


def class_path() -> str:
    """The class path of Kafka, fetched with Maven if it isn't cached yet.

    Safe to call from several processes at once: one fetches under a lock, the others wait for it.
    The cache holds the pom that it was made from, so that a changed pom is fetched anew; the jars
    appear by a rename, so that an interrupted fetch leaves nothing that looks complete.
    """
    cache = cache_dir()
    cache.parent.mkdir(parents=True, exist_ok=True)
    with _locked(cache.with_name(cache.name + ".lock")):
        if not _is_complete(cache):
            _fetch(cache)
    return str(cache / "*")


def _is_complete(cache: Path) -> bool:
    stamp = cache / "pom.xml"
    return stamp.is_file() and stamp.read_bytes() == POM.read_bytes()


def _fetch(cache: Path) -> None:
    if lacking := missing():
        raise KafkaUnavailable(lacking)
    fetched = Path(tempfile.mkdtemp(dir=cache.parent, prefix=cache.name + "."))
    try:
        command = ["mvn", "-q", "-B", "-f", str(POM), "dependency:copy-dependencies"]
        done = subprocess.run(
            [*command, f"-DoutputDirectory={fetched}"],
            capture_output=True,
            text=True,
            timeout=900,
            check=False,
        )
        if done.returncode:
            lines = [line for line in (done.stdout + done.stderr).splitlines() if "ERROR" in line]
            raise KafkaUnavailable(f"mvn could not fetch Kafka {version()}: {lines[0] if lines else '?'}")
        shutil.copyfile(POM, fetched / "pom.xml")
        shutil.rmtree(cache, ignore_errors=True)
        fetched.rename(cache)
    finally:
        shutil.rmtree(fetched, ignore_errors=True)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((HOST, 0))
        return [int(each.getsockname()[1]) for each in sockets]


@dataclass
class _Node:
    """One KRaft node: broker and controller in one JVM, its files in one directory."""

    directory: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> Path:
        return self.directory / "server.log"

    def configure(self, properties: dict[str, object]) -> None:
        self.directory.mkdir()
        lines = [f"{key}={value}\n" for key, value in properties.items()]
        (self.directory / "server.properties").write_text("".join(lines))
        (self.directory / "log4j2.properties").write_text(LOG4J.format(log=self.log))

    def java(self, jars: str, main: str, *arguments: str) -> list[str]:
        logging = f"-Dlog4j2.configurationFile={self.directory / 'log4j2.properties'}"
        return ["java", *JVM_OPTIONS, logging, "-cp", jars, main, *arguments]

    def start(self, jars: str) -> None:
        command = self.java(jars, "kafka.Kafka", str(self.directory / "server.properties"))
        # A JVM is not to outlive a test run that was killed. The signal comes when the *thread* that
        # started the child ends, so only the main thread may ask for it.
        if threading.current_thread() is threading.main_thread() and shutil.which("setpriv"):
            command = ["setpriv", "--pdeathsig", "KILL", *command]
        with (self.directory / "stdout.log").open("ab") as out:
            # In a session of its own it doesn't get the terminal's Ctrl-C before `stop` is through with it.
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
            )

    def tail(self) -> str:
        files = (self.directory / "stdout.log", self.log)
        return "\n".join(file.read_text(errors="replace")[-2000:] for file in files if file.exists())


class KafkaServer:
    """One Kafka node (or three) on loopback, from `start` to `stop`; also a context manager.

    `stop` and `kill` keep the logs, so a `start` after them is the same cluster on the same ports with
    the same data: a broker's restart, or its crash. `close` (or leaving the context) removes everything.

    Not for measuring brokers: half a GiB of heap, no replication unless `nodes=3`, and data that is
    flushed when the system likes.

    Args:
        port: of the first node; 0 takes a free one, and so do the other nodes always.
        nodes: 1 or 3; with 3 the internal topics are replicated to all, two must be in sync, and new
            topics get three replicas.
        properties: added to PROPERTIES, or in place of what stands there.
        listener: one more, such as "SECURE://127.0.0.1:9443", whose protocol ``properties`` name.
        timeout: seconds that a start may take.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        nodes: int = 1,
        properties: dict[str, object] | None = None,
        listener: str = "",
        timeout: float = 90,
    ) -> None:
        self._port = port
        self._count = nodes
        self._properties = PROPERTIES | (properties or {})
        self._listener = listener
        self._timeout = timeout
        self._home: Path | None = None
        self._jars = ""
        self.nodes: list[_Node] = []

    @property
    def bootstrap(self) -> str:
        """The address for clients: host:port, comma separated."""
        return ",".join(f"{HOST}:{node.port}" for node in self.nodes)

    @property
    def pids(self) -> list[int]:
        """The process ids of the nodes that were started and not stopped."""
        return [node.process.pid for node in self.nodes if node.process]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the nodes and return when they answer; raises KafkaUnavailable when they don't."""
        try:
            if not self.nodes:
                self._format()
            for node in self.nodes:
                if node.process is None:
                    node.start(self._jars)
            self._wait()
        except BaseException:
            self.close()
            raise

    def stop(self, timeout: float = 30) -> None:
        """Stop the nodes as an operator would, by SIGTERM; SIGKILL for one that takes longer."""
        self._end(signal.SIGTERM, timeout)

    def kill(self) -> None:
        """Stop the nodes as a crash would, by SIGKILL."""
        self._end(signal.SIGKILL, 10)

    def close(self) -> None:
        """Kill the nodes and remove their files: what nobody will read again needs no clean shutdown."""
        self.kill()
        if self._home:
            shutil.rmtree(self._home, ignore_errors=True)
        self._home, self.nodes = None, []

    def _end(self, how: signal.Signals, timeout: float) -> None:
        running = [node.process for node in self.nodes if node.process]
        for process in running:
            process.send_signal(how)
        for process in running:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for node in self.nodes:
            node.process = None

    def _format(self) -> None:
        """Choose ports, write the settings and format the storage of every node."""
        if lacking := missing():
            raise KafkaUnavailable(lacking)
        self._jars = class_path()
        self._home = Path(tempfile.mkdtemp(prefix="gleaner-kafka-"))
        ports = free_ports(2 * self._count)
        brokers, controllers = ports[: self._count], ports[self._count :]
        brokers[0] = self._port or brokers[0]
        voters = ",".join(f"{number}@{HOST}:{port}" for number, port in enumerate(controllers, start=1))
        in_sync = 1 if self._count == 1 else 2
        for number, (broker, controller) in enumerate(zip(brokers, controllers, strict=True), start=1):
            node = _Node(self._home / f"node-{number}", broker)
            node.configure(
                {
                    "node.id": number,
                    "controller.quorum.voters": voters,
                    "listeners": ",".join(
                        [f"PLAINTEXT://{HOST}:{broker}", f"CONTROLLER://{HOST}:{controller}"]
                        + [self._listener] * bool(self._listener)
                    ),
                    "log.dirs": node.directory / "data",
                    "default.replication.factor": self._count,
                    "min.insync.replicas": in_sync,
                    "offsets.topic.replication.factor": self._count,
                    "transaction.state.log.replication.factor": self._count,
                    "transaction.state.log.min.isr": in_sync,
                    "share.coordinator.state.topic.replication.factor": self._count,
                    "share.coordinator.state.topic.min.isr": in_sync,
                    **self._properties,
                }
            )
            self.nodes.append(node)
            self._run_format(node)

    def _run_format(self, node: _Node) -> None:
        # Any id does, as long as all nodes have the same: 16 bytes in base64, without the padding.
        cluster = "Z2xlYW5lci10ZXN0cy0wMQ"
        settings = str(node.directory / "server.properties")
        command = node.java(self._jars, "kafka.tools.StorageTool", "format", "-t", cluster, "-c", settings)
        done = subprocess.run(command, capture_output=True, text=True, timeout=self._timeout, check=False)
        if done.returncode:
            raise KafkaUnavailable(f"Kafka could not format its storage: {done.stdout}{done.stderr}".strip())

    def _wait(self) -> None:
        """Until a metadata request names every node, or the time is up, or a node has died."""
        deadline = time.monotonic() + self._timeout
        # Refused connections are expected here: not worth a line each, nor the long pauses between attempts.
        quiet = {"log_level": 2, "reconnect.backoff.ms": 50, "reconnect.backoff.max.ms": 100}
        admin = AdminClient({"bootstrap.servers": self.bootstrap, **quiet})
        while time.monotonic() < deadline:
            for node in self.nodes:
                if node.process and node.process.poll() is not None:
                    raise KafkaUnavailable(f"Kafka exited with {node.process.returncode}:\n{node.tail()}")
            with contextlib.suppress(KafkaException):
                if len(admin.list_topics(timeout=1).brokers) == self._count:
                    return
            time.sleep(0.1)
        raise KafkaUnavailable(f"Kafka did not answer within {self._timeout:g} s:\n{self.nodes[0].tail()}")


def main(arguments: list[str] | None = None) -> int:
    """Run a broker by hand until Ctrl-C or SIGTERM; 2 when this machine can't."""
    parser = argparse.ArgumentParser(prog="python -m tests.kafka.server", description=main.__doc__)
    parser.add_argument("--port", type=int, default=0, help="of the first broker (default: a free one)")
    parser.add_argument("--three", action="store_true", help="three nodes that replicate to each other")
    options = parser.parse_args(arguments)
    for each in (signal.SIGINT, signal.SIGTERM):  # SIGINT too: a shell starts its background jobs without it
        signal.signal(each, signal.default_int_handler)
    try:
        with KafkaServer(port=options.port, nodes=3 if options.three else 1) as server:
            pids = " ".join(map(str, server.pids))
            print(f"Kafka {version()} on {server.bootstrap} (pid {pids}), until Ctrl-C", flush=True)
            threading.Event().wait()
    except KafkaUnavailable as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        pass
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
