"""A real Apache Kafka for the tests: MOMUS_KAFKA, else a container where a Docker engine answers, else the jars."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from backbone.log import LogUnavailable
from backbone.log.kafka import KafkaLog
from node.embedded.broker import LocalBroker, free_ports
from node.embedded.broker_files import KAFKA_VERSION, BrokerUnusable
from tests.patience import WAIT_S

START_S_MAX = 120


@contextmanager
def real_kafka() -> Iterator[str]:
    """The address of a broker that answers; without one, the tests that need it fail with one sentence."""
    given = os.environ.get("MOMUS_KAFKA")
    if given:
        wait_for(given, WAIT_S)
        yield given
    elif _docker_answers():
        with _container() as address:
            yield address
    else:
        with TemporaryDirectory(prefix="momus-kafka-", ignore_cleanup_errors=True) as folder:
            broker = LocalBroker(Path(folder))
            try:
                broker.start()
            except BrokerUnusable as error:
                pytest.fail(f"No Kafka for the tests: MOMUS_KAFKA is not set, no Docker answers, and: {error}", False)
            try:
                yield broker.bootstrap
            finally:
                broker.kill()


def wait_for(address: str, seconds: float) -> None:
    """Return when the broker answers; fail the test when it does not."""
    log = KafkaLog({"bootstrap.servers": address}, timeout_ms=2_000)
    deadline = time.monotonic() + seconds
    while True:
        try:
            log.cluster_id()
            return
        except LogUnavailable as error:
            if time.monotonic() > deadline:
                pytest.fail(f"No Kafka answers at {address} within {seconds} s: {error}", False)


def _docker_answers() -> bool:
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = [docker, "version", "--format", "{{.Server.Version}}"]
    try:
        return subprocess.run(asked, capture_output=True, check=False, timeout=WAIT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def _container() -> Iterator[str]:
    """The official image, on the same port inside and outside, since a broker tells clients its own address."""
    from docker.errors import DockerException  # type: ignore[import-untyped]
    from testcontainers.core.config import testcontainers_config
    from testcontainers.core.container import DockerContainer

    port, controller = free_ports(2)
    testcontainers_config.ryuk_disabled = True
    container = DockerContainer(f"apache/kafka:{KAFKA_VERSION}").with_bind_ports(port, port)
    for name, value in _environment(port, controller).items():
        container = container.with_env(name, value)
    try:
        container.start()
    except DockerException as error:
        pytest.fail(f"No Kafka for the tests: Docker answers, but cannot start apache/kafka:{KAFKA_VERSION}: {error}")
    try:
        wait_for(f"127.0.0.1:{port}", START_S_MAX)
        yield f"127.0.0.1:{port}"
    finally:
        container.stop()


def _environment(port: int, controller: int) -> dict[str, str]:
    return {
        "KAFKA_PROCESS_ROLES": "broker,controller",
        "KAFKA_NODE_ID": "1",
        "KAFKA_CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{controller}",
        "KAFKA_LISTENERS": f"PLAINTEXT://0.0.0.0:{port},CONTROLLER://127.0.0.1:{controller}",
        "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
        "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
        "KAFKA_HEAP_OPTS": "-Xms128m -Xmx512m",
    }
