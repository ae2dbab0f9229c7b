"""From the log into the store: chained, synced, and only then told; bounded per partition."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from backbone.intake.intake import Advance, Intake, IntakeLimits, IntakeParts, Shown, Source
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogRecord, LogUnavailable
from backbone.store import Entry, LogHead, StoreReader, StoreWriter
from tests.fake_topic import FakeReader, FakeTopic
from tests.store_records import chain, chained, start

STARTS = [LogHead(partition, 0, 0, start(partition)) for partition in (0, 1)]
LIMITS = IntakeLimits(suffix_records_max=4, suffix_bytes_max=100)


def _intake(
    log: FakeTopic, writer: StoreWriter, path: Path, final: Sequence[LogHead] = STARTS, limits: IntakeLimits = LIMITS
) -> Intake:
    parts = IntakeParts(log, log.name, writer, StoreReader(path), RetainedRecords(path / "aside"), chain)
    return Intake(parts, STARTS, final, [Source(log.topic_id)] * 2, limits, lambda: 0)


def _read(intake: Intake, records_max: int = 10) -> list[Advance]:
    """What the intake reads, with nothing that it has looked at."""
    found = intake.pump(records_max, 0)
    assert not any(isinstance(item, Shown) for item in found)
    return [item for item in found if isinstance(item, Advance)]


def test_a_batch_is_chained_stored_and_told_per_partition(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (2, None)], 1: [(5, b"bb")]})
    with StoreWriter(tmp_path) as writer:
        advances = _read(_intake(log, writer, tmp_path))
    zero, one = chained(log.values[0]), chained(log.values[1], partition=1)
    assert advances == [
        Advance(0, 0, (Entry(1, zero[0].chain_digest, 1), Entry(3, zero[1].chain_digest, 0))),
        Advance(1, 0, (Entry(6, one[0].chain_digest, 2),)),
    ]
    assert StoreReader(tmp_path).records(0, 0, 3) == zero
    assert StoreReader(tmp_path).records(1, 0, 6) == one


def test_nothing_is_told_before_it_is_synced(tmp_path: Path) -> None:
    events: list[str] = []

    class Told(StoreWriter):
        def sync(self) -> None:
            super().sync()
            events.append("synced")

    with Told(tmp_path) as writer:
        intake = _intake(FakeTopic({0: [(0, b"a")], 1: [(0, b"b")]}), writer, tmp_path)
        events.extend(f"told {advance.partition}" for advance in _read(intake, 10))
    assert events == ["synced", "told 0", "told 1"]


def test_an_idle_log_advances_nothing_and_syncs_nothing(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        assert _intake(FakeTopic({}), writer, tmp_path).pump(10, 0) == []
    assert not (tmp_path / "partition-00000").exists()


def test_a_restart_tells_what_is_above_the_final_heads_and_reads_on(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (1, b"b"), (2, b"c")]})
    records = chained(log.values[0])
    with StoreWriter(tmp_path) as writer:
        _read(_intake(log, writer, tmp_path))
    log.values[0].append((3, b"d"))
    final = [LogHead(0, 0, 1, records[0].chain_digest), STARTS[1]]
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path, final)
        assert [entry.end_offset for entry in intake.backlog()[0].entries] == [2, 3]
        assert [entry.end_offset for entry in _read(intake, 10)[0].entries] == [4]
        assert log.opened[-1] == {0: 0, 1: 0}, "all that is not final is compared"
    assert StoreReader(tmp_path).records(0, 0, 4) == chained(log.values[0])


def test_a_full_partition_is_left_out_and_the_others_go_on(tmp_path: Path) -> None:
    log = FakeTopic({0: [(offset, b"x") for offset in range(20)], 1: []})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        assert len(_read(intake, 5)[0].entries) == 5
        log.values[1] = [(0, b"y")]
        assert [advance.partition for advance in _read(intake, 5)] == [1]
        assert log.opened == [{0: 0, 1: 0}, {1: 0}]


def test_a_full_partition_is_read_again_when_half_of_it_is_final(tmp_path: Path) -> None:
    log = FakeTopic({0: [(offset, b"x") for offset in range(20)]})
    records = chained(log.values[0])
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.pump(4, 0)
        for end_offset, more in ((1, 0), (2, 0), (3, 3)):
            intake.on_final([LogHead(0, 0, end_offset, records[end_offset - 1].chain_digest), STARTS[1]])
            assert sum(len(advance.entries) for advance in _read(intake, 4)) == more
        assert log.opened[-1] == {0: 3, 1: 0}


def test_bytes_are_bounded_as_records_are(tmp_path: Path) -> None:
    log = FakeTopic({0: [(offset, bytes(60)) for offset in range(9)]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        assert len(_read(intake, 2)[0].entries) == 2
        assert intake.pump(2, 0) == []


def test_when_all_are_full_the_reader_is_kept_and_not_asked(tmp_path: Path) -> None:
    log = FakeTopic({partition: [(offset, b"x") for offset in range(9)] for partition in (0, 1)})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        assert sum(len(advance.entries) for advance in _read(intake, 8)) == 8
        assert intake.pump(8, 1) == []
        intake.on_final([LogHead(partition, 0, 4, bytes(32)) for partition in (0, 1)])
        assert sum(len(advance.entries) for advance in _read(intake, 8)) == 8
    assert len(log.opened) == 1


def test_final_heads_ahead_of_the_store_leave_no_suffix(tmp_path: Path) -> None:
    log = FakeTopic({0: [(offset, b"x") for offset in range(9)]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.on_final([LogHead(0, 0, 8, bytes(32)), STARTS[1]])
        assert len(_read(intake, 8)[0].entries) == 8
        assert len(_read(intake, 8)[0].entries) == 1


def test_a_record_delivered_twice_is_ignored(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (1, b"b"), (1, b"b")]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.pump(10, 0)
        _deliver_again(log, intake, [(0, b"a"), (1, b"b"), (2, b"c"), (2, b"c")])
        assert [entry.end_offset for advance in _read(intake, 10) for entry in advance.entries] == [3]
        assert intake.delivered_twice == 1, "what a new reader is asked to show again is no double"


@pytest.mark.parametrize("record", [(0, b"other"), (1, b"a"), (0, None)])
def test_another_record_where_one_was_read_makes_a_partition_suspect(
    tmp_path: Path, record: tuple[int, bytes | None]
) -> None:
    log = FakeTopic({0: [(0, b"a"), (2, b"c")]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.pump(10, 0)
        _deliver_again(log, intake, [record])
        assert intake.pump(10, 0) == []
        assert [partition for partition, state in intake._partitions.items() if state.is_suspect] == [0]
        assert StoreReader(tmp_path).records(0, 0, 3) == chained(log.values[0])


def test_a_record_that_was_lost_and_sent_again_to_its_old_place_hides_nothing_below_it(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (1, b"b"), (2, b"c")]})
    with StoreWriter(tmp_path) as writer:
        _read(_intake(log, writer, tmp_path), 10)
        log.values[0] = [(0, b"a"), (1, b"other"), (2, b"c")]
        intake = _intake(log, writer, tmp_path)
        assert intake.pump(10, 0) == []
        shown = [item for item in intake.pump(10, 0) if isinstance(item, Shown)]
        assert [(item.partition, item.opening, item.diverged_at) for item in shown] == [(0, None, 1)]


def _deliver_again(log: FakeTopic, intake: Intake, values: list[tuple[int, bytes | None]]) -> None:
    """Let the intake's reader deliver these records of partition 0, whatever it delivered before."""

    class Again(FakeReader):
        def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
            return [LogRecord("t", 0, offset, None, value) for offset, value in values]

    log.readers = [Again]
    intake.close()


def test_a_suffix_is_read_anew_as_the_log_shows_it_now(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (1, b"b"), (2, b"c")]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.pump(10, 0)
        log.values[0][1:] = [(1, b"B"), (3, b"D"), (4, b"E")]
        intake.reread(0, 0, 1)
        assert [entry.end_offset for entry in _read(intake, 10)[0].entries] == [2, 4, 5]
        intake.reread(0, 0, 0)
        assert [entry.end_offset for entry in _read(intake, 10)[0].entries] == [1, 2, 4, 5]
    assert StoreReader(tmp_path).records(0, 0, 5) == chained(log.values[0])


def test_what_is_final_is_never_read_anew(tmp_path: Path) -> None:
    log = FakeTopic({0: [(0, b"a"), (1, b"b")]})
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        intake.pump(10, 0)
        intake.on_final([LogHead(0, 0, 2, chained(log.values[0])[1].chain_digest), STARTS[1]])
        with pytest.raises(ValueError, match="final up to 2"):
            intake.reread(0, 0, 1)


def test_a_log_that_does_not_answer_is_asked_anew_by_another_reader(tmp_path: Path) -> None:
    class Silent(FakeReader):
        def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
            raise LogUnavailable("no broker")

    log = FakeTopic({0: [(0, b"a")]})
    log.readers = [Silent]
    with StoreWriter(tmp_path) as writer:
        intake = _intake(log, writer, tmp_path)
        with pytest.raises(LogUnavailable):
            intake.pump(10, 0)
        assert len(_read(intake, 10)) == 1


def test_bounds_exceed_what_one_block_may_take() -> None:
    limits = IntakeLimits(suffix_records_max=1000, suffix_bytes_max=1 << 20)
    assert limits.above_a_block(500, 1 << 19) == limits
    assert limits.above_a_block(501, 1 << 20) == IntakeLimits(1002, 2 << 20)
