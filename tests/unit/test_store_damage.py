"""What a crash leaves is cut at opening; anything else that does not read is damage, never data."""

import errno
from pathlib import Path

import pytest

from backbone.store import StoreDamaged, StoredRecord, StoreFailed, StoreReader, StoreWriter
from backbone.store.files import DiskFile
from backbone.store.format import HEADER_SIZE, SYNCED_BEFORE, encode_record, encode_segment_header
from tests.patience import WAIT_S
from tests.store_records import chained, numbered


def _filled(path: Path, records: list[StoredRecord]) -> Path:
    """A store of one segment with a sync after every record; the segment's path."""
    with StoreWriter(path) as writer:
        for record in records:
            writer.append(0, [record])
            writer.sync()
    return next((path / "partition-00000").iterdir())


def test_a_last_record_torn_at_any_byte_is_cut_and_never_read(tmp_path: Path) -> None:
    records = chained(numbered(4))
    segment = _filled(tmp_path, records)
    whole = segment.read_bytes()
    last = len(whole) - 8 - 45 - len(b"value 3")
    for size in range(last, len(whole)):
        segment.write_bytes(whole[:size])
        assert StoreReader(tmp_path).records(0, 0, 4) == records[:3]
        with StoreWriter(tmp_path) as writer:
            assert writer.head(0) is not None
            assert StoreReader(tmp_path).records(0, 0, 4) == records[:3]
            writer.append(0, records[3:])
        assert StoreReader(tmp_path).records(0, 0, 4) == records
        assert segment.read_bytes()[: len(whole)] == whole


def test_a_first_record_torn_at_any_byte_leaves_an_empty_partition(tmp_path: Path) -> None:
    records = chained(numbered(1))
    segment = _filled(tmp_path, records)
    whole = segment.read_bytes()
    for size in range(len(whole)):
        segment.write_bytes(whole[:size])
        assert StoreReader(tmp_path).records(0, 0, 4) == []
        with StoreWriter(tmp_path) as writer:
            assert writer.head(0) is None
            writer.append(0, records)
        assert StoreReader(tmp_path).records(0, 0, 4) == records


@pytest.mark.parametrize("rest", [bytes(HEADER_SIZE), b"\xa5" * HEADER_SIZE])
def test_a_header_torn_at_any_byte_is_an_empty_segment_to_readers_too(tmp_path: Path, rest: bytes) -> None:
    """Nothing is behind it: whoever reads before the writer has opened the store must not call that damage."""
    records = chained(numbered(4))
    _filled(tmp_path, records)
    newest = tmp_path / "partition-00000" / f"{1:010}-{0:020}.seg"
    header = encode_segment_header(0, 1, 0, 77)
    for size in range(HEADER_SIZE):
        newest.write_bytes(header[:size] + rest[size:])
        assert StoreReader(tmp_path).records(0, 0, 4) == records
        assert StoreReader(tmp_path).suffix(0, 0, 1) == []
    newest.write_bytes(rest + b"\0")
    with pytest.raises(StoreDamaged, match="its header does not read back"):
        StoreReader(tmp_path).suffix(0, 0, 1)


def test_a_tail_of_zeros_is_cut(tmp_path: Path) -> None:
    records = chained(numbered(4))
    segment = _filled(tmp_path, records)
    with segment.open("ab") as file:
        file.write(bytes(200_000))
    assert StoreReader(tmp_path).records(0, 0, 9) == records
    StoreWriter(tmp_path).close()
    assert StoreReader(tmp_path).suffix(0, 3) == [(4, records[3].chain_digest, 7)]


def test_any_bit_flipped_in_what_was_synced_is_damage_to_writer_and_reader(tmp_path: Path) -> None:
    records = chained(numbered(4))
    segment = _filled(tmp_path, records)
    whole = segment.read_bytes()
    last = len(whole) - 8 - 45 - len(b"value 3")
    for place in range(last):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        segment.write_bytes(flipped)
        with pytest.raises(StoreDamaged, match=rf"{segment.name} is damaged at byte \d+: .*rebuild it from the log"):
            StoreWriter(tmp_path)
        with pytest.raises(StoreDamaged, match=segment.name):
            StoreReader(tmp_path).records(0, 0, 4)


def test_a_bit_flipped_in_the_last_record_is_never_read_as_data(tmp_path: Path) -> None:
    records = chained(numbered(4))
    segment = _filled(tmp_path, records)
    whole = segment.read_bytes()
    for place in range(len(whole) - 8 - 45 - len(b"value 3"), len(whole)):
        flipped = bytearray(whole)
        flipped[place] ^= 1 << (place % 8)
        segment.write_bytes(flipped)
        assert StoreReader(tmp_path).records(0, 0, 4) == records[:3]


def test_a_batch_torn_in_its_middle_by_a_lost_page_is_cut_there(tmp_path: Path) -> None:
    """A machine that stops may have written the second half of an append and not the first."""
    records = chained(numbered(40))
    with StoreWriter(tmp_path) as writer:
        writer.append(0, records[:10])
        writer.sync()
        synced = next((tmp_path / "partition-00000").iterdir()).stat().st_size
        writer.append(0, records[10:])
    segment = next((tmp_path / "partition-00000").iterdir())
    torn = bytearray(segment.read_bytes())
    torn[synced + 100 : synced + 600] = bytes(500)
    segment.write_bytes(torn)
    with StoreWriter(tmp_path) as writer:
        head = writer.head(0)
        assert head is not None
        assert 10 <= head.end_offset < 20
    assert StoreReader(tmp_path).records(0, 0, 40) == records[: head.end_offset]


def test_a_client_cannot_make_a_torn_tail_pass_for_damage(tmp_path: Path) -> None:
    """A value may hold the bytes of a frame that claims that all before it was synced."""
    claim = b"".join(encode_record(StoredRecord(offset, 0, b"", bytes(32)), SYNCED_BEFORE, 0) for offset in (5, 9))
    segment = _filled(tmp_path, chained([(0, b"a"), (1, claim)]))
    segment.write_bytes(segment.read_bytes()[:-1])
    with StoreWriter(tmp_path) as writer:
        assert writer.head(0) is not None
    assert [record.offset for record in StoreReader(tmp_path).records(0, 0, 9)] == [0]


def test_an_older_segment_cut_short_is_damage(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, segment_bytes=200) as writer:
        for record in chained(numbered(12)):
            writer.append(0, [record])
    oldest = min((tmp_path / "partition-00000").iterdir())
    oldest.write_bytes(oldest.read_bytes()[:-1])
    with pytest.raises(StoreDamaged, match=oldest.name):
        StoreReader(tmp_path).records(0, 0, 12)


def test_a_torn_final_block_is_not_there_until_it_is_written_again(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        for height in (1, 2, 3):
            writer.append_final(height, b"header", b"proof")
    segment = next((tmp_path / "final").iterdir())
    segment.write_bytes(segment.read_bytes()[:-1])
    reader = StoreReader(tmp_path)
    assert (reader.last_height(), len(reader.final_after(0, 9))) == (2, 2)
    assert not reader.wait(0)
    with StoreWriter(tmp_path) as writer:
        assert writer.last_height() == 2
        writer.append_final(3, b"again", b"proof")
    assert reader.wait(WAIT_S * 1_000)
    assert reader.final_after(2, 9) == [(3, b"again", b"proof")]


def test_a_segment_under_a_wrong_name_is_damage(tmp_path: Path) -> None:
    segment = _filled(tmp_path, chained(numbered(4)))
    segment.rename(segment.with_name(segment.name.replace("0.seg", "2.seg")))
    with pytest.raises(StoreDamaged, match="byte 0"):
        StoreWriter(tmp_path)


class _SmallDisk:
    """A disk with so many bytes left, shared by all its files."""

    def __init__(self, free_bytes: int) -> None:
        self.free_bytes = free_bytes

    def open_file(self, path: Path) -> "_SmallDiskFile":
        return _SmallDiskFile(path, self)


class _SmallDiskFile(DiskFile):
    """Writes what there is room for, and then fails as a full disk does."""

    def __init__(self, path: Path, disk: _SmallDisk) -> None:
        super().__init__(path)
        self._disk = disk

    def write(self, data: bytes) -> None:
        part = data[: self._disk.free_bytes]
        self._disk.free_bytes -= len(part)
        super().write(part)
        if len(part) < len(data):
            raise OSError(errno.ENOSPC, "No space left on device")


def _append_in_pairs(writer: StoreWriter, records: list[StoredRecord], synced: list[StoredRecord]) -> None:
    """Append and sync two records at a time; `synced` holds those of which it succeeded."""
    for first in range(0, len(records), 2):
        writer.append(0, records[first : first + 2])
        writer.sync()
        synced.extend(records[first : first + 2])


@pytest.mark.parametrize("free_bytes", [0, 10, 40, 100, 333, 600, 1000])
def test_a_full_disk_stops_the_writer_and_leaves_a_store_that_opens(tmp_path: Path, free_bytes: int) -> None:
    records = chained(numbered(40))
    writer = StoreWriter(tmp_path, segment_bytes=300, open_file=_SmallDisk(free_bytes).open_file)
    synced: list[StoredRecord] = []
    with pytest.raises(StoreFailed, match="No space left"):
        _append_in_pairs(writer, records, synced)
    with pytest.raises(StoreFailed, match="open the store anew"):
        writer.append(0, records[len(synced) :])
    writer.close()
    with StoreWriter(tmp_path, segment_bytes=300) as again:
        head = again.head(0)
        held = 0 if head is None else head.end_offset
        assert len(synced) <= held <= len(synced) + 2 <= 40
        again.append(0, records[held:])
    assert StoreReader(tmp_path).records(0, 0, 40) == records
