"""For any batches, segment sizes and points of reopening, the store reads back what was written."""

from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import example, given, settings
from hypothesis import strategies as st

from backbone.store import Entry, StoredRecord, StoreReader, StoreWriter
from tests.store_records import chained, is_chained

VALUES = st.one_of(st.none(), st.binary(max_size=80), st.integers(0, 3000).map(bytes))
BATCHES = st.lists(st.lists(st.tuples(st.integers(1, 3), VALUES), min_size=1, max_size=8), max_size=12)
"""Batches of (step to the offset, value)."""
SEGMENT_BYTES = st.sampled_from([1, 100, 500, 4000, 1 << 20])


def _records(batches: list[list[tuple[int, bytes | None]]]) -> list[list[StoredRecord]]:
    offset, previous = -1, None
    found = []
    for batch in batches:
        entries = []
        for step, value in batch:
            offset += step
            entries.append((offset, value))
        found.append(chained(entries, previous))
        previous = found[-1][-1].chain_digest
    return found


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES, segment_bytes=SEGMENT_BYTES, data=st.data())
def test_what_was_written_is_read_whatever_the_batches_segments_and_reopenings(
    batches: list[list[tuple[int, bytes | None]]], segment_bytes: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        written: list[StoredRecord] = []
        tail = StoreReader(path)
        writer = StoreWriter(path, segment_bytes)
        for batch in _records(batches):
            if data.draw(st.booleans(), "reopen"):
                writer.close()
                writer = StoreWriter(path, segment_bytes)
            writer.append(0, batch)
            if data.draw(st.booleans(), "sync"):
                writer.sync()
            before = written[-1].offset + 1 if written else 0
            assert tail.records(0, before, batch[-1].offset + 1) == batch
            written.extend(batch)
        writer.close()
        end = written[-1].offset + 1 if written else 0
        assert StoreReader(path).records(0, 0, end) == written
        assert is_chained(written)
        low = data.draw(st.integers(0, end), "low")
        high = data.draw(st.integers(low, end), "high")
        expected = [record for record in written if low <= record.offset < high]
        assert tail.records(0, low, high) == expected
        sizes = [Entry(r.offset + 1, r.chain_digest, len(r.value or b"")) for r in written if r.offset >= low]
        assert tail.suffix(0, low) == sizes


@settings(max_examples=60, deadline=None)
@given(batches=BATCHES.filter(len), segment_bytes=SEGMENT_BYTES, data=st.data())
def test_after_cuts_anywhere_the_store_is_a_prefix_that_goes_on(
    batches: list[list[tuple[int, bytes | None]]], segment_bytes: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        written = [record for batch in _records(batches) for record in batch]
        with StoreWriter(path, segment_bytes) as writer:
            for batch in _records(batches):
                writer.append(0, batch)
            cut = data.draw(st.integers(0, written[-1].offset + 2), "cut")
            writer.replace_suffix(0, cut)
            kept = [record for record in written if record.offset < cut]
            head = writer.head(0)
            assert (head.end_offset if head else 0) == (kept[-1].offset + 1 if kept else 0)
            first = kept[-1].offset + 1 if kept else 0
            others = chained([(first, b"other"), (first + 5, None)], kept[-1].chain_digest if kept else None)
            writer.append(0, others)
        assert StoreReader(path).records(0, 0, first + 6) == kept + others


@settings(max_examples=80, deadline=None)
@given(batches=BATCHES.filter(len), segment_bytes=SEGMENT_BYTES, data=st.data())
def test_a_newest_segment_cut_short_anywhere_leaves_a_prefix(
    batches: list[list[tuple[int, bytes | None]]], segment_bytes: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder)
        written = [record for batch in _records(batches) for record in batch]
        with StoreWriter(path, segment_bytes) as writer:
            for batch in _records(batches):
                writer.append(0, batch)
        newest = max((path / "partition-00000").iterdir())
        whole = newest.read_bytes()
        newest.write_bytes(whole[: data.draw(st.integers(0, len(whole)), "size")])
        seen = StoreReader(path).records(0, 0, written[-1].offset + 1)
        with StoreWriter(path, segment_bytes) as writer:
            head = writer.head(0)
        held = StoreReader(path).records(0, 0, written[-1].offset + 1)
        assert held == seen == written[: len(held)]
        assert (head.chain_digest if head else None) == (held[-1].chain_digest if held else None)


OPERATIONS = st.lists(
    st.tuples(st.sampled_from(["append", "append", "cut", "open", "final", "read"]), st.integers(0, 9), VALUES),
    max_size=40,
)
"""What is done, how far from the end or up to where, and the value of what is appended."""


@settings(max_examples=300, deadline=None)
@given(operations=OPERATIONS, segment_bytes=st.sampled_from([1, 100, 500]))
@example([("append", 1, None), ("read", 0, None), ("cut", 9, None), ("append", 0, None), ("read", 9, None)], 1)
def test_who_reads_now_and_then_sees_what_is_there_after_each_cut(
    operations: list[tuple[str, int, bytes | None]], segment_bytes: int
) -> None:
    """Segments that a reader has seen are removed, and others begin where none did."""
    with TemporaryDirectory() as folder, StoreWriter(Path(folder), segment_bytes) as writer:
        reader = StoreReader(Path(folder))
        held: list[StoredRecord] = []
        incarnation, final = 0, 0
        for what, far, value in operations:
            end = held[-1].offset + 1 if held and held[-1].incarnation == incarnation else final
            low = max(0, end - far)
            ours = [record for record in held if record.incarnation == incarnation]
            if what == "append":
                (record,) = chained([(end + far, value)], held[-1].chain_digest if held else None)
                held.append(record._replace(incarnation=incarnation))
                writer.append(0, held[-1:])
            elif what == "cut":
                cut = max(final, low)
                writer.replace_suffix(0, cut, incarnation)
                held = [record for record in held if (record.incarnation, record.offset) < (incarnation, cut)]
            elif what == "open":
                incarnation, final = incarnation + 1, 0
            elif what == "final":
                final = max(final, low)
                assert reader.records(0, 0, final, incarnation) == [it for it in ours if it.offset < final]
            else:
                assert list(reader.held(0, low, 1 << 40, incarnation)) == [it for it in ours if it.offset >= low]
                assert reader.find(0, low, incarnation) == next((it for it in ours if it.offset == low), None)
