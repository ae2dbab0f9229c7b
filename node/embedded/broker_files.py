"""What a local Apache Kafka is made of: its jars, which Maven fetches once, and its configuration files."""

import fcntl
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from ledger.errors import Unavailable

KAFKA_VERSION: Final = "4.3.1"
LOG4J_VERSION: Final = "2.25.2"
FETCH_S_MAX: Final = 900

_DEPENDENCIES: Final = (
    ("org.apache.kafka", "kafka_2.13", KAFKA_VERSION),
    ("org.apache.logging.log4j", "log4j-slf4j-impl", LOG4J_VERSION),
    ("org.apache.logging.log4j", "log4j-core", LOG4J_VERSION),
)
_ELSE: Final = "or start Kafka another way (`docker compose up`) and give its address"


class BrokerUnusable(Unavailable):
    """The local broker cannot be had. The message says what is missing."""


def program(name: str, what: str) -> str:
    """The path of `java` or `mvn`. Raises: BrokerUnusable."""
    found = shutil.which(name)
    if found is None:
        raise BrokerUnusable(f"{name} was not found, so no local Kafka can be started: install {what}, {_ELSE}.")
    return found


def jars() -> Path:
    """The folder with Kafka's jars, fetched on first use. Raises: BrokerUnusable."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "momus"
    folder = cache / f"kafka-{KAFKA_VERSION}"
    try:
        if not folder.exists():
            cache.mkdir(parents=True, exist_ok=True)
            with (cache / ".kafka.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not folder.exists():
                    _fetch(folder, lock.fileno())
    except OSError as error:
        raise BrokerUnusable(
            f"Apache Kafka cannot be kept in {cache} ({error}); set XDG_CACHE_HOME, {_ELSE}."
        ) from error
    return folder


def _fetch(folder: Path, lock: int) -> None:
    """Under another name first: the folder is there whole or not at all. Maven holds the lock as well: it may outlive
    us, and nobody is to take what it still writes."""
    maven = program("mvn", "Maven (it fetches Apache Kafka's official jars)")
    fresh = folder.with_name(f".{folder.name}.fetching")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    pom = fresh / "pom.xml"
    pom.write_text(_pom())
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", "-DincludeScope=runtime"]
    try:
        done = subprocess.run(
            [*command, f"-DoutputDirectory={fresh / 'lib'}"],
            cwd=fresh,
            pass_fds=[lock],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=FETCH_S_MAX,
        )
    except subprocess.TimeoutExpired as error:
        raise BrokerUnusable(f"Maven did not fetch Apache Kafka within {FETCH_S_MAX} s; try again, {_ELSE}.") from error
    if done.returncode:
        raise BrokerUnusable(f"Maven could not fetch Apache Kafka ({_reason(done.stdout)}); try again, {_ELSE}.")
    os.sync()
    (fresh / "lib").rename(folder)
    shutil.rmtree(fresh)


def _reason(output: str) -> str:
    errors = [line for line in output.splitlines() if "ERROR" in line]
    return errors[0].replace("[ERROR]", "").strip() if errors else "it said nothing"


def _pom() -> str:
    """Dependencies alone; where they come from is the machine's own Maven configuration."""
    dependencies = "".join(
        f"<dependency><groupId>{group}</groupId><artifactId>{name}</artifactId><version>{version}</version></dependency>"
        for group, name, version in _DEPENDENCIES
    )
    return (
        '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
        "<groupId>momus</groupId><artifactId>local-kafka</artifactId><version>1</version><packaging>pom</packaging>"
        f"<dependencies>{dependencies}</dependencies></project>\n"
    )


def server_properties(
    node_id: int, port: int, voters: Mapping[int, int], data: Path, advertised: Mapping[int, int] | None = None
) -> str:
    """The settings of one broker that is a controller too. `voters`: node id -> port of its controller.

    `advertised`: of further listeners, the port that clients are told -> the port itself. A client is told of those
    brokers that have a listener of the same name as its own: the first of one broker goes with the first of all.
    """
    replicas = min(len(voters), 3)
    further = {f"FRONT{number}": ports for number, ports in enumerate((advertised or {}).items(), start=1)}
    listeners = {"PLAINTEXT": (port, port), **further}
    settings = {
        "process.roles": "broker,controller",
        "node.id": node_id,
        "controller.quorum.voters": ",".join(f"{node}@127.0.0.1:{at}" for node, at in voters.items()),
        "listeners": ",".join(
            [
                *(f"{name}://127.0.0.1:{own}" for name, (_, own) in listeners.items()),
                f"CONTROLLER://127.0.0.1:{voters[node_id]}",
            ]
        ),
        "advertised.listeners": ",".join(f"{name}://127.0.0.1:{told}" for name, (told, _) in listeners.items()),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": ",".join(f"{name}:PLAINTEXT" for name in (*listeners, "CONTROLLER")),
        "log.dirs": data,
        "auto.create.topics.enable": "false",
        "group.initial.rebalance.delay.ms": 0,
        "log.cleaner.dedupe.buffer.size": 8_388_608,
        "num.network.threads": 2,
        "num.io.threads": 4,
    }
    for internal in ("offsets.topic", "transaction.state.log", "share.coordinator.state.topic"):
        settings |= {f"{internal}.num.partitions": 1, f"{internal}.replication.factor": replicas}
    for internal in ("transaction.state.log", "share.coordinator.state.topic"):
        settings[f"{internal}.min.isr"] = min(replicas, 2)
    return "".join(f"{name}={value}\n" for name, value in settings.items())


def logging_properties(file: Path) -> str:
    """Log4j: warnings into `file`, which stays below 10 MB, with one older one beside it."""
    settings = {
        "status": "error",
        "appender.file.type": "RollingFile",
        "appender.file.name": "file",
        "appender.file.fileName": file,
        "appender.file.filePattern": f"{file}.%i",
        "appender.file.layout.type": "PatternLayout",
        "appender.file.layout.pattern": "%d %p %c: %m%n",
        "appender.file.policies.type": "Policies",
        "appender.file.policies.size.type": "SizeBasedTriggeringPolicy",
        "appender.file.policies.size.size": "10MB",
        "appender.file.strategy.type": "DefaultRolloverStrategy",
        "appender.file.strategy.max": 1,
        "rootLogger.level": "warn",
        "rootLogger.appenderRef.file.ref": "file",
    }
    return "".join(f"{name}={value}\n" for name, value in settings.items())
