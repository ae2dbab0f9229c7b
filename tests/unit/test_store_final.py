"""The store's log of final blocks."""

import threading
from pathlib import Path

import pytest

from backbone.store import StoreReader, StoreWriter
from backbone.store.format import HEADER_SIZE
from tests.patience import WAIT_S


def _block(height: int) -> tuple[int, bytes, bytes]:
    return height, b"header %d" % height, b"proof" * (height % 7)


def test_final_blocks_are_read_back_from_any_height_in_bounded_batches(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, segment_bytes=300) as writer:
        for height in range(1, 51):
            writer.append_final(*_block(height))
        assert writer.last_height() == 50
    reader = StoreReader(tmp_path)
    assert reader.last_height() == 50
    assert reader.final_after(0, 7) == [_block(height) for height in range(1, 8)]
    assert reader.final_after(7, 100) == [_block(height) for height in range(8, 51)]
    assert reader.final_after(30, 2) == [_block(31), _block(32)]
    assert reader.final_after(50, 10) == []


def test_heights_follow_each_other_also_after_opening_again(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append_final(*_block(1))
    with StoreWriter(tmp_path) as writer:
        for height in (1, 3, 0):
            with pytest.raises(ValueError, match="has height 2"):
                writer.append_final(*_block(height))
        writer.append_final(*_block(2))
    assert [final.height for final in StoreReader(tmp_path).final_after(0, 9)] == [1, 2]


def test_a_store_that_begins_at_a_snapshot_may_begin_at_any_height(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append_final(*_block(1000))
        writer.append_final(*_block(1001))
    assert StoreReader(tmp_path).final_after(0, 9) == [_block(1000), _block(1001)]


def test_waiting_ends_at_once_with_a_block_and_after_the_time_without(tmp_path: Path) -> None:
    reader = StoreReader(tmp_path)
    assert not reader.wait(0)
    with StoreWriter(tmp_path, segment_bytes=60) as writer:
        for height in range(1, 6):
            writer.append_final(*_block(height))
            assert reader.wait(WAIT_S * 1_000)
            assert reader.wait(WAIT_S * 1_000)
            assert reader.final_after(height - 1, 9) == [_block(height)]
            assert not reader.wait(0)


def test_waiting_begins_where_the_caller_stands_not_at_the_start(tmp_path: Path) -> None:
    with StoreWriter(tmp_path) as writer:
        writer.append_final(*_block(1))
    reader = StoreReader(tmp_path)
    assert reader.final_after(1, 9) == []
    assert not reader.wait(1)


def test_waiting_ends_when_a_block_comes_meanwhile(tmp_path: Path) -> None:
    reader = StoreReader(tmp_path)
    with StoreWriter(tmp_path) as writer:
        thread = threading.Thread(target=writer.append_final, args=_block(1))
        thread.start()
        assert reader.wait(WAIT_S * 1_000)
        thread.join()


def test_waiting_ends_when_the_next_segment_is_there_before_its_first_block(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, segment_bytes=1) as writer:
        writer.append_final(*_block(1))
        writer.append_final(*_block(2))
    second = max((tmp_path / "final").iterdir())
    whole = second.read_bytes()
    second.write_bytes(whole[:HEADER_SIZE])
    reader = StoreReader(tmp_path)
    assert len(reader.final_after(0, 9)) == 1
    assert not reader.wait(1)
    second.write_bytes(whole)
    assert reader.wait(1)


def test_the_last_height_is_known_while_the_newest_segment_is_still_empty(tmp_path: Path) -> None:
    with StoreWriter(tmp_path, segment_bytes=1) as writer:
        writer.append_final(*_block(1))
        early = StoreReader(tmp_path)
        assert early.last_height() == 1
        for height in (2, 3, 4):
            writer.append_final(*_block(height))
    newest = max((tmp_path / "final").iterdir())
    newest.write_bytes(newest.read_bytes()[:HEADER_SIZE])
    assert early.last_height() == StoreReader(tmp_path).last_height() == 3
