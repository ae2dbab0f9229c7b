"""A real Apache Kafka on this machine without Docker: official jars, one JVM, KRaft, loopback only.

For trying things out and for tests. It needs Java 17 or newer and, the first time, Maven. A broker belongs to the
process that started it and is killed with it; its data and its ports stay in its folder for the next start.
"""

import json
import secrets
import socket
import subprocess
import time
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from backbone.log import LogUnavailable
from backbone.log.kafka import KafkaLog
from node.embedded.broker_files import BrokerUnusable, jars, logging_properties, program, server_properties
from node.home.files import create_file

START_S_MAX: Final = 90
STOP_S_MAX: Final = 30
_JVM: Final = ("-Xms128m", "-Xmx384m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""One compiler tier: half the processor time to start, and no slower at our rates."""
_GUARD: Final = 'read -r _ || kill -9 "$1" 2>/dev/null'
"""Standard input ends when whoever holds its other end is gone, however that one ended."""


class LocalBroker:
    """A broker in `folder`, alone or (`node_id`, `voters`, `cluster_id`) one of several. Making one starts nothing.

    `port` is drawn where none is given, once: the folder keeps it. `advertised` are ports of loopback where something
    stands in front of the broker: for each there is one more listener, which tells its clients to come to that port.
    Raises (all that acts): BrokerUnusable.
    """

    def __init__(self, folder: Path, port: int | None = None, advertised: Sequence[int] = ()) -> None:
        self.folder = folder.absolute()
        self._wanted_port = port
        self._advertised = tuple(advertised)
        self._member: tuple[int, Mapping[int, int], str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """The address for clients. Raises: BrokerUnusable where it was never started."""
        return f"127.0.0.1:{self._kept_ports()['broker']}"

    def port_behind(self, advertised: int) -> int:
        """Where the listener that advertises this port listens itself. Raises: BrokerUnusable, KeyError."""
        return self._kept_ports()[_behind(advertised)]

    @property
    def pid(self) -> int | None:
        """Process id of the JVM; None where it does not run."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self) -> None:
        """Start, also after `stop` or `kill` on the same data and ports; returns when the broker answers."""
        self.launch()
        self.wait()

    def launch(self) -> None:
        """Start without waiting for an answer; a broker that runs is kept."""
        if self.pid is not None:
            return
        java = program("java", "Java 17 or newer")
        command = [java, *_JVM, f"-Dlog4j2.configurationFile={self._config('log4j2')}", "-cp", f"{jars()}/*"]
        self._configure(command)
        with (self.folder / "jvm.log").open("wb") as output:
            self._process = self._popen([*command, "kafka.Kafka", str(self._config("server"))], output.fileno())
        self._guard = self._popen(["sh", "-c", _GUARD, "sh", str(self._process.pid)], subprocess.DEVNULL)

    def wait(self) -> None:
        """Return when the broker answers."""
        deadline = time.monotonic() + START_S_MAX
        log = KafkaLog({"bootstrap.servers": self.bootstrap, "reconnect.backoff.max.ms": "200"}, timeout_ms=1_000)
        while True:
            if self.pid is None:
                self._release()
                raise BrokerUnusable(f"Kafka ended at once: {self._last_words()} (logs: {self.folder}).")
            try:
                log.cluster_id()
                return
            except LogUnavailable as error:
                if time.monotonic() > deadline:
                    self.kill()
                    raise BrokerUnusable(
                        f"Kafka did not answer within {START_S_MAX} s (logs: {self.folder})."
                    ) from error

    def stop(self) -> None:
        """Shut it down in order; killed where that takes longer than 30 s."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S_MAX)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._release()

    def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
        self._release()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def join(self, node_id: int, voters: Mapping[int, int], cluster_id: str) -> None:
        """Make it a member of a cluster, before its first start. `voters`: node id -> port of the controller."""
        self._member = (node_id, voters, cluster_id)

    def _configure(self, java: list[str]) -> None:
        """Write what the broker reads; on the first start, draw its ports and format its storage."""
        self.folder.mkdir(parents=True, exist_ok=True)
        ports = self._ports()
        node_id, voters, cluster_id = self._member or (1, {1: ports["controller"]}, new_cluster_id())
        data = self.folder / "data"
        advertised = {port: ports[_behind(port)] for port in self._advertised}
        self._config("server").write_text(server_properties(node_id, ports["broker"], voters, data, advertised))
        self._config("log4j2").write_text(logging_properties(self.folder / "kafka.log"))
        if not (data / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(self._config("server"))]
            done = subprocess.run([*java, *tool], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if done.returncode:
                raise BrokerUnusable(f"Kafka could not format {data}: {(done.stderr or done.stdout).strip()[-500:]}")

    def _ports(self) -> dict[str, int]:
        file = self.folder / "ports.json"
        if file.exists():
            ports: dict[str, int] = json.loads(file.read_text())
            if self._wanted_port not in (None, ports["broker"]):
                raise BrokerUnusable(
                    f"The broker in {self.folder} has the port {ports['broker']}; leave it, or remove it."
                )
            return ports
        broker, controller, *behind = free_ports(2 + len(self._advertised))
        controller = controller if self._member is None else self._member[1][self._member[0]]
        ports = {"broker": self._wanted_port or broker, "controller": controller}
        ports |= zip(map(_behind, self._advertised), behind, strict=True)
        create_file(file, json.dumps(ports).encode())
        return ports

    def _kept_ports(self) -> dict[str, int]:
        try:
            ports: dict[str, int] = json.loads((self.folder / "ports.json").read_text())
        except OSError as error:
            raise BrokerUnusable(f"No broker was ever started in {self.folder}.") from error
        return ports

    def _popen(self, command: list[str], output: int) -> "subprocess.Popen[bytes]":
        """In a session of its own: Ctrl-C is for us to handle."""
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT, start_new_session=True
        )

    def _release(self) -> None:
        """After the broker's end: reap it, and its guard, which has nothing to guard any more."""
        if self._guard is not None:
            self._guard.kill()
        for process in (self._process, self._guard):
            if process is not None:
                process.wait()
                if process.stdin is not None:
                    process.stdin.close()
        self._process = self._guard = None

    def _config(self, name: str) -> Path:
        return self.folder / f"{name}.properties"

    def _last_words(self) -> str:
        files = [self.folder / "jvm.log", self.folder / "kafka.log"]
        lines = [line for file in files if file.exists() for line in file.read_text(errors="replace").splitlines()]
        told = [line.strip() for line in lines if "Exception" in line or "ERROR" in line or "rror:" in line]
        return told[-1] if told else "it said nothing"


class LocalCluster:
    """`size` brokers below `folder`, with replication; all of them start together.

    `advertised`: of each broker, as in `LocalBroker`.
    """

    def __init__(self, folder: Path, size: int = 3, advertised: Sequence[Sequence[int]] = ()) -> None:
        fronts = [*advertised, *([()] * (size - len(advertised)))]
        self.brokers = [
            LocalBroker(folder / f"broker-{number}", advertised=front) for number, front in enumerate(fronts, start=1)
        ]
        file = folder / "cluster.json"
        if not file.exists():
            folder.mkdir(parents=True, exist_ok=True)
            create_file(file, json.dumps({"id": new_cluster_id(), "controllers": free_ports(size)}).encode())
        cluster = json.loads(file.read_text())
        voters = dict(enumerate(cluster["controllers"], start=1))
        for number, broker in enumerate(self.brokers, start=1):
            broker.join(number, voters, cluster["id"])

    @property
    def bootstrap(self) -> str:
        """All addresses, for clients."""
        return ",".join(broker.bootstrap for broker in self.brokers)

    def start(self) -> None:
        """Start all; returns when each answers."""
        for broker in self.brokers:
            broker.launch()
        for broker in self.brokers:
            broker.wait()

    def stop(self) -> None:
        """Kill all: several controllers would wait for each other."""
        for broker in self.brokers:
            broker.kill()

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.callback(self.stop)
            self.start()
            undo.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _behind(advertised: int) -> str:
    """The name of its listener's own port in `ports.json`."""
    return f"behind {advertised}"


def free_ports(count: int) -> list[int]:
    """Ports of the loopback address that nobody listens on now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def new_cluster_id() -> str:
    """16 random bytes as Kafka writes them; never with a dash first, which its tools take for an option."""
    return urlsafe_b64encode(b"M" + secrets.token_bytes(15)).decode().rstrip("=")
