"""Discovery, tick by tick: what a node says, when, and what it makes of what it hears or of a log that is away."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backbone.log import LogReader, LogRecord, LogUnavailable, PositionLost, TopicMissing
from backbone.log.simulated import SimulatedLog
from backbone.topics import registry_topic
from ledger.committee import Committees
from node.home.known_peers import Known, peers_of, read_known, write_known
from node.home.layout import Home
from node.metrics.values import Values
from node.ordering.announcing import CATCH_UP_MS_MAX, CATCH_UP_S, RETRY_S_MAX, TICK_S, Announcer
from node.ordering.own_record import Own
from node.ordering.registry_topic import FULL_BATCHES_MAX, READ_RECORDS_MAX, TAIL_RECORDS_MAX, RegistryTopic
from sync.node_record import SEQUENCE_MAX, NodeRecords, Signed
from sync.registry import Heard
from tests.builders import genesis, genesis_bytes, validator_key
from tests.unit.test_node_record import RECORD

GENESIS = genesis(4)
COMMITTEE = Committees.of(GENESIS).current
TOPIC = GENESIS.topic_name("registry")
RECORDS = NodeRecords(GENESIS.digest)
WALL_MS = 1_700_000_000_000
EVERY_MS = 10_000


class MoodyLog(SimulatedLog):
    """In memory; `failure` is what every question to it meets, if anything."""

    failure: Exception | None = None
    deaf = False
    """Readers find nothing, and do not reach the end."""

    def ends(self, topic: str) -> Mapping[int, int]:
        if self.failure is not None:
            raise self.failure
        return super().ends(topic)

    def reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        return MoodyReader(self, super().reader(topic, positions))


class MoodyReader:
    def __init__(self, log: MoodyLog, reader: LogReader) -> None:
        self._log = log
        self._reader = reader

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        if self._log.failure is not None:
            raise self._log.failure
        return [] if self._log.deaf else self._reader.read(records_max, timeout_ms)

    def at_end(self) -> bool:
        return not self._log.deaf and self._reader.at_end()

    def close(self) -> None:
        self._reader.close()


class Node:
    """One node's discovery over a log that others share."""

    def __init__(self, log: MoodyLog, folder: Path, number: int = 0) -> None:
        self.log = log
        self.home = Home(folder / f"home-{number}")
        self.home.make_folders()
        self.home.genesis_file.write_bytes(genesis_bytes(4))
        self.number = number
        self.now_ms = 5_000
        self.wall_ms = WALL_MS
        self.status = {"height": 40, "certified_height": 30}
        self.start()

    def start(self) -> None:
        """As after a restart of the process."""
        self.values = Values("order")
        self.topic = RegistryTopic(self.log, TOPIC)
        self.announcer = Announcer(
            self.home, GENESIS, COMMITTEE, own(self.number), self.topic, lambda: self.status, self.values,
            lambda: self.now_ms, lambda: self.wall_ms,
        )  # fmt: skip

    def tick(self, after_ms: int = 0) -> float:
        self.now_ms += after_ms
        self.wall_ms += after_ms
        return self.announcer.tick()

    def states(self) -> list[str]:
        rows = peers_of(COMMITTEE, self.announcer.known(), f"v{self.number}", self.now_ms)
        return [row.state for row in rows]

    def number_of(self, metric: str, *labels: str) -> float:
        return self.values.numbers(f"momus_discovery_{metric}")[labels]


def own(number: int) -> Own:
    return Own(validator_key(number), f"v{number}", "0.1.0", ("validator",), "", "http://a:1", EVERY_MS, 35_000)


def said(log: SimulatedLog) -> list[Signed]:
    """What good records the topic holds."""
    reader = SimulatedLog.reader(log, TOPIC, {0: 0})
    found = [RECORDS.decode(record.value) for record in reader.read(100_000, 0)]
    return [signed for signed in found if isinstance(signed, Signed) and RECORDS.is_authentic(signed)]


def put(log: SimulatedLog, value: bytes, times: int = 1) -> None:
    for _ in range(times):
        log.append(TOPIC, 0, value, b"key")


def record_of(number: int, sequence: int) -> bytes:
    key = validator_key(number)
    return RECORDS.signed(replace(RECORD, sequence=sequence), key.public_key, key.sign)


@pytest.fixture
def log() -> MoodyLog:
    made = MoodyLog()
    made.create([registry_topic("test", 1)])
    return made


@pytest.fixture
def node(log: MoodyLog, tmp_path: Path) -> Node:
    return Node(log, tmp_path)


def test_node_announces_itself_and_hears_itself(node: Node) -> None:
    assert node.tick() == TICK_S
    (first,) = said(node.log)
    assert first.public_key == validator_key(0).public_key
    assert first.record.sequence == WALL_MS
    assert (first.record.height, first.record.checkpoint_height) == (40, 30)
    assert (first.record.roles, first.record.sync_address) == (("validator",), "http://a:1")
    node.tick(1_000)
    assert node.states() == ["fresh", "never seen", "never seen", "never seen"]
    assert node.number_of("announced_records_total") == 1
    assert node.number_of("peers", "fresh") == node.number_of("fresh", "v0") == 1


def test_announcements_follow_each_other_after_their_time(node: Node) -> None:
    for _ in range(31):
        node.tick(1_000)
    sequences = [one.record.sequence for one in said(node.log)]
    assert len(sequences) == 4
    assert sequences == sorted(set(sequences))


def test_node_that_has_not_booted_says_nothing_and_listens(node: Node) -> None:
    node.status = {}
    put(node.log, record_of(2, 5))
    node.tick()
    node.tick(20_000)
    assert node.states()[2] == "fresh"
    assert len(said(node.log)) == 1


def test_peer_that_falls_silent_expires(log: MoodyLog, tmp_path: Path) -> None:
    node, peer = Node(log, tmp_path, 0), Node(log, tmp_path, 1)
    peer.tick()
    node.tick()
    assert node.states()[:2] == ["never seen", "fresh"]
    node.tick(35_000)
    assert node.states()[:2] == ["fresh", "fresh"]
    node.tick(1)
    assert node.states()[:2] == ["fresh", "expired"]
    assert node.number_of("peers", "expired") == 1
    assert node.number_of("fresh", "v1") == 0
    peer.tick(35_000)
    node.tick(1_000)
    assert node.states()[:2] == ["fresh", "fresh"]


def test_how_far_a_peer_is_behind_is_measured_when_it_is_heard(log: MoodyLog, tmp_path: Path) -> None:
    node, peer = Node(log, tmp_path, 0), Node(log, tmp_path, 1)
    peer.status = {"height": 33, "certified_height": 30}
    peer.tick()
    node.tick()
    node.status = {"height": 1_000, "certified_height": 30}
    node.tick(5_000)
    assert peers_of(COMMITTEE, node.announcer.known(), "v0", node.now_ms)[1].behind_blocks == 40 - 33


def test_clock_that_goes_back_over_a_restart_does_not_make_records_stale(node: Node) -> None:
    node.tick()
    node.wall_ms -= 3_600_000
    node.announcer.close()
    node.start()
    node.tick(1_000)
    assert [one.record.sequence for one in said(node.log)] == [WALL_MS, WALL_MS + 1]


def test_clock_that_goes_back_in_a_home_that_lost_its_file_is_mended_by_the_topic(node: Node) -> None:
    node.tick()
    node.home.peers_file.unlink()
    node.wall_ms -= 3_600_000
    node.start()
    node.tick(1_000)
    assert [one.record.sequence for one in said(node.log)] == [WALL_MS, WALL_MS + 1]
    assert node.number_of("foreign_records_total") == 0


def test_what_was_known_is_known_after_a_restart_and_no_younger(node: Node) -> None:
    put(node.log, record_of(3, 5))
    node.tick()
    node.tick(34_000)
    node.announcer.close()
    node.start()
    node.tick(0)
    assert node.states()[3] == "fresh"
    node.tick(2_000)
    assert node.states()[3] == "expired"


def test_second_process_with_the_same_key_is_noticed(node: Node) -> None:
    node.tick()
    node.tick(1_000)
    put(node.log, record_of(0, node.wall_ms + 1))
    node.tick(1_000)
    assert node.number_of("foreign_records_total") == 1
    node.tick(10_000)
    assert said(node.log)[-1].record.sequence > said(node.log)[-2].record.sequence
    assert node.number_of("foreign_records_total") == 1


def test_sequence_that_has_nothing_above_it_ends_nothing(node: Node) -> None:
    put(node.log, record_of(0, SEQUENCE_MAX))
    node.tick()
    node.tick(EVERY_MS)
    assert {one.record.sequence for one in said(node.log)} == {SEQUENCE_MAX}


def test_first_announcement_waits_for_what_the_topic_holds_but_not_for_ever(node: Node) -> None:
    node.log.deaf = True
    assert node.tick() == CATCH_UP_S
    node.tick(CATCH_UP_MS_MAX - 1)
    assert not said(node.log)
    node.tick(1)
    assert len(said(node.log)) == 1


@pytest.mark.parametrize("error", [LogUnavailable("away"), TopicMissing("no topic"), PositionLost("gone")])
def test_log_that_fails_is_tried_again_ever_later_and_then_used(node: Node, error: Exception) -> None:
    node.log.failure = error
    waits = [node.tick(1_000) for _ in range(8)]
    assert waits == sorted(waits)
    assert waits[-1] == RETRY_S_MAX
    assert node.number_of("failures_total") == 8
    node.log.failure = None
    assert node.tick(1_000) == TICK_S
    node.tick(1_000)
    assert node.states()[0] == "fresh"
    node.log.failure = error
    assert node.tick(1_000) == 2 * TICK_S


def test_record_that_is_not_acknowledged_keeps_the_next_one_back(node: Node) -> None:
    node.topic.serve = lambda: None  # type: ignore[method-assign]
    node.tick()
    node.tick(50_000)
    assert node.topic.is_sending
    node.log.failure = LogUnavailable("away")
    node.tick()
    assert not node.topic.is_sending


def test_reading_begins_near_the_end(node: Node) -> None:
    put(node.log, record_of(1, 5))
    put(node.log, b"", TAIL_RECORDS_MAX - 1)
    put(node.log, record_of(2, 5))
    for _ in range(10):
        node.tick(100)
    assert node.states()[1:3] == ["never seen", "fresh"]


def test_reader_that_cannot_keep_up_leaves_out_what_it_would_read_too_late(node: Node) -> None:
    node.tick()
    put(node.log, b"flood", (FULL_BATCHES_MAX + 20) * READ_RECORDS_MAX)
    put(node.log, record_of(2, 5))
    ticks = 0
    while node.tick(100) < TICK_S:
        ticks += 1
        assert ticks < 40
    assert node.number_of("skipped_records_total") == 20 * READ_RECORDS_MAX - TAIL_RECORDS_MAX + 2
    assert node.states()[2] == "fresh"


def test_disk_that_refuses_stops_nothing(node: Node) -> None:
    node.home.run.rmdir()
    node.tick()
    node.tick(6_000)
    assert node.states()[0] == "fresh"
    assert read_known(node.home) == Known({})


def test_what_is_heard_is_in_the_file_at_once(node: Node) -> None:
    put(node.log, record_of(2, 5))
    node.tick()
    assert validator_key(2).public_key in read_known(node.home).heard


def test_file_of_former_days_is_taken_over(log: MoodyLog, tmp_path: Path) -> None:
    home = Home(tmp_path / "home-0")
    home.make_folders()
    write_known(home, Known({validator_key(2).public_key: Heard(RECORD, 0, 0)}, WALL_MS + 70), 1_000)
    node = Node(log, tmp_path)
    assert node.states()[2] == "fresh"
    put(log, record_of(2, RECORD.sequence))
    node.tick()
    assert node.number_of("refused_records_total", "stale") == 1
    assert said(log)[-1].record.sequence == WALL_MS + 71
