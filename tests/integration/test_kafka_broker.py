"""The local broker: data, address and acknowledged records outlive its end; it does not outlive its parent."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from backbone.log import Delivery, LogRecord, LogUnavailable, TopicSpec
from backbone.log.kafka import KafkaLog
from node.embedded.broker import LocalBroker, LocalCluster
from node.embedded.broker_files import BrokerUnusable
from tests.patience import WAIT_S

ROOT = Path(__file__).parents[2]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[LocalBroker]:
    broker = LocalBroker(tmp_path / "kafka")
    yield broker
    broker.kill()


def produce(log: KafkaLog, topic: str, value: bytes) -> int:
    deliveries: list[Delivery] = []
    deadline = time.monotonic() + WAIT_S
    with closing(log.producer()) as producer:
        while True:
            try:
                producer.send(topic, 0, value, None, deliveries.append)
                break
            except LogUnavailable:
                assert time.monotonic() < deadline
        assert producer.flush(WAIT_S * 1_000) == 0
    assert [delivery.error for delivery in deliveries] == [None]
    return deliveries[0].offset


def read(log: KafkaLog, topic: str, count: int) -> list[bytes | None]:
    found: list[LogRecord] = []
    deadline = time.monotonic() + WAIT_S
    with closing(log.reader(topic, {0: 0})) as reader:
        while len(found) < count and time.monotonic() < deadline:
            try:
                found += reader.read(100, 500)
            except LogUnavailable:
                continue
    return [record.value for record in found]


@pytest.mark.kafka
def test_a_killed_broker_comes_back_at_its_address_with_what_it_acknowledged(broker: LocalBroker) -> None:
    broker.start()
    address = broker.bootstrap
    with closing(KafkaLog({"bootstrap.servers": address})) as log:
        log.create([TopicSpec("momus.kept", 1)])
        identity = log.cluster_id(), log.describe("momus.kept").topic_id
        assert produce(log, "momus.kept", b"before") == 0
        broker.kill()
        assert broker.pid is None
        broker.start()
        assert broker.bootstrap == address
        assert (log.cluster_id(), log.describe("momus.kept").topic_id) == identity
        assert produce(log, "momus.kept", b"after") == 1
        assert read(log, "momus.kept", 2) == [b"before", b"after"]
        broker.stop()
    with pytest.raises(BrokerUnusable, match="has the port"):
        LocalBroker(broker.folder, 1).start()


@pytest.mark.kafka
def test_a_broker_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from node.embedded.broker import LocalBroker\n"
        "broker = LocalBroker(Path(sys.argv[1])); broker.launch(); print(broker.pid, flush=True); sys.stdin.read()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "kafka")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    parent.communicate()
    deadline = time.monotonic() + WAIT_S
    while is_alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(pid)


@pytest.mark.soak
@pytest.mark.kafka
def test_a_cluster_goes_on_without_one_of_its_brokers(tmp_path: Path) -> None:
    with (
        LocalCluster(tmp_path / "cluster", 3) as cluster,
        closing(KafkaLog({"bootstrap.servers": cluster.bootstrap})) as log,
    ):
        log.create([TopicSpec("momus.three", 1, {"min.insync.replicas": "2"}, replicas=3)])
        assert log.describe("momus.three").replicas == 3
        assert produce(log, "momus.three", b"three brokers") == 0
        cluster.brokers[1].kill()
        assert produce(log, "momus.three", b"two brokers") == 1
        assert read(log, "momus.three", 2)[:2] == [b"three brokers", b"two brokers"]


@pytest.mark.soak
@pytest.mark.kafka
def test_questions_are_answered_whichever_broker_of_three_is_down(tmp_path: Path) -> None:
    """One client through all of it: it must not stay with the broker that it used to ask."""
    with (
        LocalCluster(tmp_path / "cluster", 3) as cluster,
        closing(KafkaLog({"bootstrap.servers": cluster.bootstrap})) as log,
    ):
        log.create([TopicSpec("momus.three", 1, {"min.insync.replicas": "2"}, replicas=3)])
        topic_id = log.describe("momus.three").topic_id
        for broker in cluster.brokers:
            broker.kill()
            assert answer(log, "momus.three") == topic_id
            broker.start()


def answer(log: KafkaLog, topic: str) -> str:
    """The id of a topic, as soon as somebody says it."""
    deadline = time.monotonic() + WAIT_S / 3
    while True:
        try:
            return log.describe(topic).topic_id
        except LogUnavailable:
            assert time.monotonic() < deadline


@pytest.mark.parametrize(("found", "missing"), [([], "java"), (["java"], "mvn")])
def test_one_sentence_says_which_program_is_missing(
    found: list[str], missing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in found:
        (programs / name).write_text("#!/bin/sh\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(BrokerUnusable, match=f"^{missing} was not found[^.]*install [^.]*[.]$"):
        LocalBroker(tmp_path / "kafka").start()


def test_a_broker_that_ends_at_once_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "java").write_text(
        '#!/bin/sh\ncase "$*" in *StorageTool*) exit 0;; esac\necho "Error: bad JVM"; exit 1\n'
    )
    (programs / "java").chmod(0o755)
    (tmp_path / "cache" / "momus").mkdir(parents=True)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}/bin{os.pathsep}/usr/bin")
    monkeypatch.setattr("node.embedded.broker.jars", lambda: tmp_path)
    with pytest.raises(BrokerUnusable, match="Error: bad JVM"):
        LocalBroker(tmp_path / "kafka").start()


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has reaped does not."""
    try:
        return "(java) Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
