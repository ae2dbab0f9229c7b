"""The store's record logs: what was appended is read back, by any number of readers, in strict order."""

from pathlib import Path

import pytest

from backbone.store import (
    VALUE_BYTES_MAX,
    Entry,
    LogHead,
    StoredRecord,
    StoreLocked,
    StoreReader,
    StoreWriter,
    ValueTooLarge,
    scan,
)
from backbone.store.files import Segment, segments
from tests.store_records import chained, numbered

SMALL = 200
"""A segment size that a handful of records fills."""


def test_what_was_appended_is_read_back_with_gaps_nulls_and_empty_values(tmp_path: Path) -> None:
    records = chained([(0, b"a"), (3, None), (4, b""), (9, bytes(100_000))])
    with StoreWriter(tmp_path / "store") as writer:
        writer.append(0, records)
        assert StoreReader(tmp_path / "store").records(0, 0, 10) == records
        assert writer.head(0) == LogHead(0, 0, 10, records[-1].chain_digest)


def test_what_comes_between_the_end_of_a_segment_and_a_look_for_the_next_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The writer appends to the segment that a reader has read to its end, and begins another, before that looks."""
    records = chained(numbered(8))
    with StoreWriter(tmp_path, segment_bytes=300) as writer:
        writer.append(0, records[:2])
        reading = StoreReader(tmp_path).held(0, 0, 100)
        found = [next(reading), next(reading)]

        def append_first(folder: Path) -> list[Segment]:
            for record in records[len(found) :]:
                writer.append(0, [record])
            monkeypatch.undo()
            return segments(folder)

        monkeypatch.setattr(scan, "segments", append_first)
        found += reading
        assert len(segments(tmp_path / "partition-00000")) > 1
    assert found == records


def test_a_range_holds_offsets_from_its_start_and_below_its_end(tmp_path: Path) -> None:
    records = chained(numbered(100))
    with StoreWriter(tmp_path, segment_bytes=SMALL) as writer:
        writer.append(0, records)
    reader = StoreReader(tmp_path)
    assert reader.records(0, 40, 60) == records[40:60]
    assert reader.records(0, 10, 11) == records[10:11]
    assert reader.records(0, 60, 100) == records[60:]
    assert reader.records(0, 100, 200) == []
    assert reader.records(0, 5, 5) == []
    assert reader.records(7, 0, 5) == []


def test_a_reader_may_be_there_before_the_store_and_follow_it_over_rolls(tmp_path: Path) -> None:
    reader = StoreReader(tmp_path / "store")
    assert reader.records(0, 0, 10) == []
    records = chained(numbered(60))
    with StoreWriter(tmp_path / "store", segment_bytes=SMALL) as writer:
        for offset in range(0, 60, 3):
            writer.append(0, records[offset : offset + 3])
            assert reader.records(0, offset, offset + 3) == records[offset : offset + 3]
    assert len(list((tmp_path / "store" / "partition-00000").iterdir())) > 10


def test_partitions_are_independent(tmp_path: Path) -> None:
    left, right = chained(numbered(5)), chained(numbered(7), partition=1)
    with StoreWriter(tmp_path) as writer:
        writer.append(0, left)
        writer.append(1, right)
        writer.sync()
    reader = StoreReader(tmp_path)
    assert (reader.records(0, 0, 9), reader.records(1, 0, 9)) == (left, right)


def test_a_store_that_is_opened_again_goes_on_where_it_stopped(tmp_path: Path) -> None:
    records = chained(numbered(30))
    for first in range(0, 30, 10):
        with StoreWriter(tmp_path, segment_bytes=SMALL) as writer:
            assert writer.head(0) == (LogHead(0, 0, first, records[first - 1].chain_digest) if first else None)
            writer.append(0, records[first : first + 10])
    assert StoreReader(tmp_path).records(0, 0, 30) == records


@pytest.mark.parametrize("offsets", [[4], [3], [5, 5], [6, 5]])
def test_offsets_that_do_not_rise_are_refused_and_leave_nothing(tmp_path: Path, offsets: list[int]) -> None:
    records = chained(numbered(5))
    with StoreWriter(tmp_path) as writer:
        writer.append(0, records)
        with pytest.raises(ValueError, match="does not follow"):
            writer.append(0, [StoredRecord(offset, 0, b"", bytes(32)) for offset in offsets])
        writer.append(0, [StoredRecord(5, 0, b"five", bytes(32))])
    assert [record.offset for record in StoreReader(tmp_path).records(0, 0, 10)] == [0, 1, 2, 3, 4, 5]


def test_in_a_later_incarnation_offsets_start_anew_and_both_stay_readable(tmp_path: Path) -> None:
    before = chained(numbered(5))
    after = chained(numbered(5), before[-1].chain_digest, incarnation=1)
    with StoreWriter(tmp_path) as writer:
        writer.append(0, before)
        writer.append(0, after)
        with pytest.raises(ValueError, match="behind the head"):
            writer.append(0, chained([(9, b"")]))
    reader = StoreReader(tmp_path)
    assert reader.records(0, 0, 5) == before
    assert reader.records(0, 0, 5, incarnation=1) == after
    assert reader.records(0, 0, 100) == before


def test_a_second_writer_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    with StoreWriter(tmp_path), pytest.raises(StoreLocked, match="Another process"):
        StoreWriter(tmp_path)
    StoreWriter(tmp_path).close()


def test_a_value_over_the_bound_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    too_large = bytes(VALUE_BYTES_MAX + 1)
    with StoreWriter(tmp_path) as writer:
        with pytest.raises(ValueTooLarge, match=r"max\.message\.bytes"):
            writer.append(0, [StoredRecord(0, 0, b"", bytes(32)), StoredRecord(1, 0, too_large, bytes(32))])
        assert writer.head(0) is None
        writer.append(0, [StoredRecord(0, 0, b"", bytes(32))])
    assert len(StoreReader(tmp_path).records(0, 0, 2)) == 1


def test_a_value_larger_than_the_reading_chunks_is_read_whole(tmp_path: Path) -> None:
    records = chained([(0, b"small"), (1, bytes(5 << 20)), (2, b"small"), (3, bytes(100_000)), (4, None)])
    with StoreWriter(tmp_path) as writer:
        writer.append(0, records)
    assert StoreReader(tmp_path).records(0, 0, 5) == records


def test_random_access_after_reading_on_agrees_with_a_fresh_reader(tmp_path: Path) -> None:
    records = chained([(offset, bytes(20_000)) for offset in range(0, 400, 2)])
    with StoreWriter(tmp_path, segment_bytes=2 << 20) as writer:
        for first in range(0, 200, 10):
            writer.append(0, records[first : first + 10])
    reader = StoreReader(tmp_path)
    reader.records(0, 0, 399)
    for first in range(380, -1, -38):
        assert reader.records(0, first, first + 21) == StoreReader(tmp_path).records(0, first, first + 21)
        assert reader.find(0, first) == records[first // 2]
        assert reader.find(0, first + 1) is None


def test_the_suffix_tells_heads_and_sizes_without_values(tmp_path: Path) -> None:
    records = chained([(0, b"a"), (3, None), (4, b"four"), (9, b"")])
    with StoreWriter(tmp_path) as writer:
        writer.append(0, records)
    expected = [
        Entry(4, records[1].chain_digest, 0),
        Entry(5, records[2].chain_digest, 4),
        Entry(10, records[3].chain_digest, 0),
    ]
    assert StoreReader(tmp_path).suffix(0, 1) == expected


@pytest.mark.parametrize("from_offset", [0, 1, 17, 29, 30])
def test_a_suffix_is_replaced_by_other_records(tmp_path: Path, from_offset: int) -> None:
    records = chained(numbered(30))
    with StoreWriter(tmp_path, segment_bytes=SMALL) as writer:
        for first in range(0, 30, 4):
            writer.append(0, records[first : first + 4])
        reader = StoreReader(tmp_path)
        assert reader.records(0, 0, from_offset) == records[:from_offset]
        writer.replace_suffix(0, from_offset)
        assert reader.suffix(0, from_offset) == []
        previous = records[from_offset - 1].chain_digest if from_offset else None
        others = chained([(offset, b"other %d" % offset) for offset in range(from_offset, 40)], previous)
        writer.append(0, others)
    assert reader.records(0, from_offset, 40) == others
    assert StoreReader(tmp_path).records(0, 0, 40) == records[:from_offset] + others
