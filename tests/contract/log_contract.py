"""What every adapter of the log does. Each adapter's test file subclasses these and says how to get one."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from uuid import uuid4

import pytest

from backbone.log import (
    READ_BYTES_MAX,
    Delivery,
    Log,
    LogBackPressure,
    LogReader,
    LogRecord,
    PositionLost,
    TopicExists,
    TopicMissing,
    TopicSpec,
)
from backbone.topics import chain_topics, check_topic, registry_topic
from tests.patience import WAIT_S

VALUE_BYTES_MAX = 1_500_000


def spec_of(name: str, partitions: int = 2) -> TopicSpec:
    return TopicSpec(name, partitions, {"max.message.bytes": str(VALUE_BYTES_MAX + 1_000)})


def send_all(log: Log, topic: str, partition: int, values: Sequence[bytes]) -> list[int]:
    """Produce the values; their offsets."""
    deliveries: list[Delivery] = []
    with closing(log.producer()) as producer:
        for value in values:
            producer.send(topic, partition, value, None, deliveries.append)
        assert producer.flush(WAIT_S * 1_000) == 0
    assert [delivery.error for delivery in deliveries] == [None] * len(values)
    return [delivery.offset for delivery in deliveries]


def read_some(reader: LogReader, count: int, records_max: int = 1_000) -> list[LogRecord]:
    """At least `count` records, or a failed test."""
    found: list[LogRecord] = []
    deadline = time.monotonic() + WAIT_S
    while len(found) < count and time.monotonic() < deadline:
        found += reader.read(records_max, 200)
    assert len(found) >= count, f"{len(found)} of {count} records"
    return found


def read_to_end(reader: LogReader) -> list[LogRecord]:
    """All records up to the end as it was at some moment."""
    found: list[LogRecord] = []
    deadline = time.monotonic() + WAIT_S
    while not reader.at_end() and time.monotonic() < deadline:
        found += reader.read(1_000, 100)
    assert reader.at_end()
    return found


def read_until_raised(reader: LogReader) -> None:
    """Read until an error comes; ends without one after a while."""
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        reader.read(1_000, 100)


class LogContract:
    """To be subclassed; `log` and `connect` are the adapter's own fixtures."""

    @pytest.fixture
    def connect(self) -> Callable[..., Log]:
        """Opens another connection to the same log; `queue_records_max` bounds its producers."""
        raise NotImplementedError

    @pytest.fixture
    def log(self, connect: Callable[..., Log]) -> Iterator[Log]:
        with closing(connect()) as log:
            yield log

    @pytest.fixture
    def topic(self, log: Log) -> str:
        """A new topic of two partitions."""
        name = f"momus.contract.{uuid4().hex}"
        log.create([spec_of(name)])
        return name

    def prune(self, log: Log, topic: str, partition: int, first_offset: int) -> None:
        """Delete the records below an offset, as retention does."""
        raise NotImplementedError

    # Records

    def test_records_come_back_in_order_as_they_were_sent(self, log: Log, topic: str) -> None:
        values = [b"%d" % number for number in range(2_000)]
        assert send_all(log, topic, 1, values) == list(range(2_000))
        with closing(log.reader(topic, {1: 0})) as reader:
            found = read_some(reader, 2_000, 300)
        assert found == [LogRecord(topic, 1, offset, None, value) for offset, value in enumerate(values)]

    def test_keys_and_values_are_any_bytes(self, log: Log, topic: str) -> None:
        pairs = [(b"", b""), (None, b"\0" * 9), (b"\xff\0", b"\xc3\x01"), (b"k", bytes(range(256)))]
        with closing(log.producer()) as producer:
            for key, value in pairs:
                producer.send(topic, 0, value, key)
            assert producer.flush(WAIT_S * 1_000) == 0
        with closing(log.reader(topic, {0: 0})) as reader:
            assert [(record.key, record.value) for record in read_some(reader, 4)] == pairs

    def test_a_reader_starts_where_it_was_told_and_sees_its_partitions_only(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"a", b"b", b"c"])
        send_all(log, topic, 1, [b"x", b"y"])
        with closing(log.reader(topic, {0: 2})) as reader:
            assert [(record.offset, record.value) for record in read_to_end(reader)] == [(2, b"c")]
        with closing(log.reader(topic, {0: 1, 1: 2})) as reader:
            assert [(record.partition, record.value) for record in read_to_end(reader)] == [(0, b"b"), (0, b"c")]

    def test_a_read_gives_no_more_than_it_was_asked_for(self, log: Log, topic: str) -> None:
        for partition in (0, 1):
            send_all(log, topic, partition, [b"v"] * 50)
        found: list[LogRecord] = []
        with closing(log.reader(topic, {0: 0, 1: 0})) as reader:
            while not (reader.at_end() and len(found) == 100):
                records = reader.read(7, 200)
                assert len(records) <= 7
                found += records
        for partition in (0, 1):
            assert [record.offset for record in found if record.partition == partition] == list(range(50))

    def test_a_read_gives_no_more_bytes_than_a_bound_and_one_record_and_all_come(self, log: Log, topic: str) -> None:
        size, count = 300_000, 20
        values = [bytes([number]) * size for number in range(count)]
        for partition in (0, 1):
            send_all(log, topic, partition, values)
        found: list[LogRecord] = []
        with closing(log.reader(topic, {0: 0, 1: 0})) as reader:
            while not (reader.at_end() and len(found) == 2 * count):
                records = reader.read(1_000, 200)
                assert sum(len(record.value or b"") for record in records) < READ_BYTES_MAX + size
                found += records
        for partition in (0, 1):
            assert [record.value for record in found if record.partition == partition] == values

    def test_several_readers_each_see_everything(self, log: Log, connect: Callable[..., Log], topic: str) -> None:
        send_all(log, topic, 0, [b"1", b"2"])
        other = connect()
        with closing(other), closing(log.reader(topic, {0: 0})) as mine, closing(other.reader(topic, {0: 0})) as theirs:
            assert read_some(mine, 2) == read_some(theirs, 2)
            send_all(other, topic, 0, [b"3"])
            assert [record.value for record in (*read_some(mine, 1), *read_some(theirs, 1))] == [b"3", b"3"]

    def test_producers_side_by_side_share_the_offsets(self, log: Log, connect: Callable[..., Log], topic: str) -> None:
        deliveries: list[Delivery] = []
        with closing(connect()) as other, closing(log.producer()) as mine, closing(other.producer()) as theirs:
            for number in range(50):
                mine.send(topic, 0, b"m%d" % number, None, deliveries.append)
                theirs.send(topic, 0, b"t%d" % number, None, deliveries.append)
                mine.poll(0)
                theirs.poll(0)
            assert mine.flush(WAIT_S * 1_000) == theirs.flush(WAIT_S * 1_000) == 0
        assert sorted(delivery.offset for delivery in deliveries) == list(range(100))
        with closing(log.reader(topic, {0: 0})) as reader:
            values = [record.value or b"" for record in read_some(reader, 100)]
        for who in (b"m", b"t"):
            assert [value for value in values if value.startswith(who)] == [who + b"%d" % n for n in range(50)]

    # The end

    def test_a_reader_of_nothing_is_at_the_end(self, log: Log, topic: str) -> None:
        with closing(log.reader(topic, {0: 0, 1: 0})) as reader:
            assert read_to_end(reader) == []
            assert list(reader.read(10, 20)) == []

    def test_a_reader_is_at_the_end_once_it_has_read_what_was_there(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"1", b"2", b"3"])
        with closing(log.reader(topic, {0: 0, 1: 0})) as reader:
            assert not reader.at_end()
            assert len(read_to_end(reader)) == 3
            send_all(log, topic, 1, [b"later"])
            assert [record.value for record in read_some(reader, 1)] == [b"later"]
            assert reader.at_end()

    # Sizes

    def test_a_value_near_the_limit_is_taken_and_one_over_it_refused(self, log: Log, topic: str) -> None:
        large, deliveries = b"L" * VALUE_BYTES_MAX, list[Delivery]()
        with closing(log.producer()) as producer:
            for value in (large, large + bytes(2_000), b"small"):
                producer.send(topic, 0, value, None, deliveries.append)
                assert producer.flush(WAIT_S * 1_000) == 0
        assert [delivery.error is None for delivery in deliveries] == [True, False, True]
        assert [delivery.offset for delivery in deliveries] == [0, -1, 1]
        with closing(log.reader(topic, {0: 0})) as reader:
            assert [record.value for record in read_some(reader, 2)] == [large, b"small"]

    # Deliveries

    def test_each_delivery_is_told_once_within_poll_or_flush(self, log: Log, topic: str) -> None:
        told: list[tuple[int, Delivery]] = []
        served = 0
        with closing(log.producer()) as producer:
            for number in range(300):
                before = len(told)
                producer.send(topic, number % 2, b"v", None, lambda delivery, n=number: told.append((n, delivery)))  # type: ignore[misc]
                assert len(told) == before
                if number % 50 == 0:
                    served += producer.poll(1)
                    assert served == len(told)
            assert producer.flush(WAIT_S * 1_000) == 0
            assert producer.poll(0) == 0
        assert sorted(number for number, _ in told) == list(range(300))
        assert {(d.topic, d.partition, d.offset) for _, d in told} == {(topic, n % 2, n // 2) for n in range(300)}

    def test_a_delivery_may_send_again(self, log: Log, topic: str) -> None:
        told: list[Delivery] = []
        with closing(log.producer()) as producer:

            def again(delivery: Delivery) -> None:
                told.append(delivery)
                if len(told) < 5:
                    producer.send(topic, 0, b"again", None, again)

            again(Delivery(topic, 0, -1, "start"))
            deadline = time.monotonic() + WAIT_S
            while len(told) < 5 and time.monotonic() < deadline:
                producer.poll(100)
        assert [delivery.offset for delivery in told] == [-1, 0, 1, 2, 3]

    def test_a_full_queue_refuses_and_takes_again_after_polling(self, connect: Callable[..., Log], topic: str) -> None:
        told: list[Delivery] = []
        refused = 0
        with closing(connect(queue_records_max=20)) as log, closing(log.producer()) as producer:
            for number in range(100):
                while True:
                    try:
                        producer.send(topic, 0, b"%d" % number, None, told.append)
                        break
                    except LogBackPressure:
                        refused += 1
                        producer.poll(50)
            assert producer.flush(WAIT_S * 1_000) == 0
            with closing(log.reader(topic, {0: 0})) as reader:
                assert [record.value for record in read_to_end(reader)] == [b"%d" % n for n in range(100)]
        assert refused > 0
        assert [delivery.offset for delivery in told] == list(range(100))

    def test_after_close_nothing_is_told(self, log: Log, topic: str) -> None:
        told: list[Delivery] = []
        producer = log.producer()
        producer.send(topic, 0, b"v", None, told.append)
        producer.close()
        producer.close()
        assert told == []

    # Topics

    def test_a_topic_that_is_missing_is_said_to_be(self, log: Log) -> None:
        missing = f"momus.contract.{uuid4().hex}"
        with closing(log.producer()) as producer, pytest.raises(TopicMissing):
            producer.send(missing, 0, b"v")
        with pytest.raises(TopicMissing):
            log.reader(missing, {0: 0})
        with pytest.raises(TopicMissing, match=missing):
            log.describe(missing)
        with pytest.raises(TopicMissing):
            log.delete([missing])
        with pytest.raises(TopicMissing):
            log.describe("no/such name")

    def test_a_partition_that_is_missing_is_an_error(self, log: Log, topic: str) -> None:
        told: list[Delivery] = []
        with closing(log.producer()) as producer:
            producer.send(topic, 2, b"v", None, told.append)
            assert producer.flush(WAIT_S * 1_000) == 0
        assert len(told) == 1
        assert told[0].error is not None
        with pytest.raises(TopicMissing, match="partition 2"):
            log.reader(topic, {0: 0, 2: 0})

    def test_a_topic_is_never_made_twice(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"v"])
        before = log.describe(topic)
        fresh = f"momus.contract.{uuid4().hex}"
        with pytest.raises(TopicExists, match=topic):
            log.create([spec_of(fresh), spec_of(topic, 5)])
        assert log.describe(topic) == before
        with pytest.raises(TopicMissing):
            log.describe(fresh)

    def test_a_topic_is_described_as_it_was_made(self, log: Log, connect: Callable[..., Log], topic: str) -> None:
        info = log.describe(topic)
        assert (info.name, info.partitions, info.replicas) == (topic, 2, 1)
        assert spec_of(topic).settings.items() <= info.settings.items()
        with closing(connect()) as other:
            assert other.describe(topic) == info
            assert other.cluster_id() == log.cluster_id() != ""

    def test_the_topics_of_a_chain_pass_their_check(self, log: Log) -> None:
        specs = chain_topics(f"c{uuid4().hex}", ["v1", "v2"], 3, 1)
        log.create(specs)
        for spec in specs:
            info = log.describe(spec.name)
            assert check_topic(info, spec, info.topic_id) == []
        log.delete([specs[0].name])
        log.create(specs[:1])
        problems = check_topic(log.describe(specs[0].name), specs[0], info.topic_id)
        assert len(problems) == 1
        assert "recreated" in problems[0]

    def test_a_compacted_topic_keeps_the_newest_record_of_each_key_in_order(self, log: Log) -> None:
        spec = registry_topic(f"c{uuid4().hex}", 1)
        log.create([spec])
        with closing(log.producer()) as producer:
            for number in range(40):
                producer.send(spec.name, 0, b"%d" % number, b"key %d" % (number % 3 if number < 30 else 0))
                if number % 7 == 0:
                    producer.flush(WAIT_S * 1_000)
            assert producer.flush(WAIT_S * 1_000) == 0
        with closing(log.reader(spec.name, {0: 0})) as reader:
            found = read_to_end(reader)
        newest = {record.key: (record.offset, record.value) for record in found}
        assert newest == {b"key 1": (28, b"28"), b"key 2": (29, b"29"), b"key 0": (39, b"39")}
        assert [record.offset for record in found] == sorted(record.offset for record in found)
        assert log.ends(spec.name) == {0: 40}

    # Positions that are gone

    def test_a_position_beyond_the_end_is_lost(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"v"] * 3)
        with closing(log.reader(topic, {0: 4})) as reader, pytest.raises(PositionLost, match="Offset 4"):
            read_until_raised(reader)

    def test_a_position_below_the_start_is_lost(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"%d" % number for number in range(5)])
        self.prune(log, topic, 0, 3)
        with closing(log.reader(topic, {0: 2})) as reader, pytest.raises(PositionLost, match="Offset 2"):
            read_until_raised(reader)
        with closing(log.reader(topic, {0: 3})) as reader:
            assert [record.offset for record in read_to_end(reader)] == [3, 4]

    def test_a_topic_begins_at_the_first_offset_that_it_holds(self, log: Log, topic: str) -> None:
        assert log.begin(topic, 1) == 0
        send_all(log, topic, 1, [b"a", b"b", b"c"])
        assert log.begin(topic, 1) == 0
        self.prune(log, topic, 1, 2)
        assert log.begin(topic, 1) == 2
        assert log.begin(topic, 0) == 0

    def test_a_topic_ends_behind_the_last_record_of_each_partition(self, log: Log, topic: str) -> None:
        before = log.ends(topic)
        send_all(log, topic, 1, [b"a", b"b"])
        assert log.ends(topic) == {**before, 1: before[1] + 2}

    def test_readers_of_a_deleted_topic_are_told(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"v"])
        with closing(log.reader(topic, {0: 0})) as reader:
            read_some(reader, 1)
            log.delete([topic])
            with pytest.raises(TopicMissing):
                read_until_raised(reader)

    def test_a_recreated_topic_is_another_one(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"old"] * 3)
        old_id = log.describe(topic).topic_id
        with closing(log.reader(topic, {0: 0})) as reader:
            read_some(reader, 3)
            log.delete([topic])
            log.create([spec_of(topic)])
            send_all(log, topic, 0, [b"new"] * 5)
            with pytest.raises((PositionLost, TopicMissing)):
                read_until_raised(reader)
        assert log.describe(topic).topic_id != old_id
        with closing(log.reader(topic, {0: 0})) as reader:
            assert [record.value for record in read_some(reader, 5)] == [b"new"] * 5
