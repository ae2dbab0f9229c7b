"""What only some adapters of the log can do: keep what others wrote, be cut, hold records without a value."""

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from backbone.log import Log, PositionLost
from tests.contract.log_contract import read_some, read_to_end, read_until_raised, send_all

ROOT = Path(__file__).parents[2]


class NullValues:
    """For adapters on which a plain client can leave a record without a value."""

    def append_null(self, log: Log, topic: str, key: bytes) -> None:
        """Append such a record to partition 0."""
        raise NotImplementedError

    def test_a_record_without_a_value_is_a_record(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"before"])
        self.append_null(log, topic, b"k")
        send_all(log, topic, 0, [b"after"])
        with closing(log.reader(topic, {0: 0})) as reader:
            found = [(record.offset, record.key, record.value) for record in read_some(reader, 3)]
        assert found == [(0, None, b"before"), (1, b"k", None), (2, None, b"after")]


class Rewritable:
    """For adapters whose content can be cut as an unclean election does it."""

    def truncate(self, log: Log, topic: str, partition: int, end_offset: int) -> None:
        """Lose the records from an offset on."""
        raise NotImplementedError

    def test_a_reader_beyond_a_truncation_has_lost_its_position(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"v"] * 5)
        with closing(log.reader(topic, {0: 0})) as beyond, closing(log.reader(topic, {0: 0})) as below:
            read_some(beyond, 5)
            assert len(below.read(2, 100)) == 2
            self.truncate(log, topic, 0, 3)
            with pytest.raises(PositionLost, match="Offset 5"):
                read_until_raised(beyond)
            assert [record.offset for record in read_to_end(below)] == [2]
            assert send_all(log, topic, 0, [b"w"]) == [3]
            assert [record.value for record in read_some(below, 1)] == [b"w"]

    def test_a_busy_partition_leaves_room_for_the_others(self, log: Log, topic: str) -> None:
        send_all(log, topic, 0, [b"busy"] * 100)
        send_all(log, topic, 1, [b"quiet"])
        with closing(log.reader(topic, {0: 0, 1: 0})) as reader:
            found = [record.value for _ in range(2) for record in reader.read(10, 100)]
        assert b"quiet" in found


class Durable:
    """For adapters that outlive a process. `address` is what tests.contract.log_process takes."""

    @pytest.fixture
    def address(self) -> list[str]:
        """Kind and place of the log."""
        raise NotImplementedError

    def test_another_process_reads_what_this_one_wrote(self, log: Log, topic: str, address: list[str]) -> None:
        send_all(log, topic, 1, [b"one", b"two"])
        with _process("read", topic, address) as process:
            assert process.stdout is not None
            told = [json.loads(process.stdout.readline()) for _ in range(2)]
            send_all(log, topic, 1, [b"three"])
            told.append(json.loads(process.stdout.readline()))
            process.kill()
        assert told == [[0, b"one".hex()], [1, b"two".hex()], [2, b"three".hex()]]

    def test_what_was_acknowledged_outlives_a_killed_producer(self, log: Log, topic: str, address: list[str]) -> None:
        with _process("produce", topic, address) as process:
            assert process.stdout is not None
            told = [json.loads(process.stdout.readline()) for _ in range(200)]
            process.kill()
            told += [
                json.loads(line) for line in process.stdout.read().splitlines(keepends=True) if line.endswith("\n")
            ]
        with closing(log.reader(topic, {1: 0})) as reader:
            found = {record.offset: record.value for record in read_to_end(reader)}
        assert len(told) >= 200
        assert [found.get(offset) for offset, _ in told] == [bytes.fromhex(value) for _, value in told]
        assert sorted(found) == list(range(len(found)))
        assert send_all(log, topic, 1, [b"next"]) == [len(found)]


def _process(what: str, topic: str, address: list[str]) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.contract.log_process", what, topic, *address]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
