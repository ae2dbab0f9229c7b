"""Old segments of a store are removed, and what is left reads as before."""

from pathlib import Path

from backbone.store import LogHead, StoreReader, StoreWriter
from backbone.store.prune import prune_store
from tests.store_records import chained


def filled(path: Path) -> StoreWriter:
    writer = StoreWriter(path, segment_bytes=400)
    records = chained([(offset, b"value %d" % offset) for offset in range(60)])
    for at in range(60):
        writer.append(0, records[at : at + 1])
    writer.sync()
    for height in range(1, 61):
        writer.append_final(height, b"header %d" % height * 5, b"proof")
    for height in range(5, 61, 5):
        writer.append_certificate(height, b"certificate %d" % height * 20)
    return writer


def test_what_is_above_stays_and_what_is_wholly_below_goes(tmp_path: Path) -> None:
    with filled(tmp_path):
        reader = StoreReader(tmp_path)
        above = (reader.records(0, 31, 60), reader.final_after(30, 100), reader.certificates_after(30, 100))
        assert prune_store(tmp_path, 30, [LogHead(0, 0, 31, bytes(32))]) > 0
        for again in (reader, StoreReader(tmp_path)):
            assert again.records(0, 31, 60) == above[0]
            assert again.final_after(30, 100) == above[1]
            assert again.certificates_after(30, 100) == above[2]
        fresh = StoreReader(tmp_path)
        assert fresh.final_after(0, 1)[0].height > 1
        assert fresh.records(0, 0, 31)[0].offset > 0
        assert fresh.last_height() == 60
        assert prune_store(tmp_path, 30, [LogHead(0, 0, 31, bytes(32))]) == 0


def test_newest_segments_always_stay_and_the_writer_goes_on(tmp_path: Path) -> None:
    with filled(tmp_path) as writer:
        prune_store(tmp_path, 60, [LogHead(0, 0, 60, bytes(32))])
        writer.append_final(61, b"header", b"proof")
        writer.append_certificate(65, b"certificate")
        assert writer.head(0) is not None
    with StoreWriter(tmp_path) as writer:
        assert writer.last_height() == 61
        assert writer.head(0) is not None
        assert writer.last_certificate() == b"certificate"
    assert StoreReader(tmp_path).final_after(60, 5)[0].height == 61


def test_nothing_is_removed_at_genesis(tmp_path: Path) -> None:
    with filled(tmp_path):
        assert prune_store(tmp_path, 0, [LogHead(0, 0, 0, bytes(32))]) == 0
    assert prune_store(tmp_path / "none", 10, [LogHead(0, 0, 9, bytes(32))]) == 0
