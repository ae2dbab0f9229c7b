"""A store filled from the log alone holds the chain, or the run stops and says where the log is wrong."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from backbone.log import LogReader, LogRecord
from backbone.store import StoreReader, StoreWriter
from ledger.block import FinalBlock
from ledger.digests import block_digest, chain_next, value_digest
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, Header, decode_header, encode_header
from ledger.rejection import Reason, Rejection
from node.recovery.follow import (
    BlockMissing,
    ChainBroken,
    Follower,
    FollowError,
    FollowLimits,
    FollowProgress,
    LogAltered,
    LogTooShort,
)
from tests.builders import genesis
from tests.fake_topic import FakeReader, FakeTopic, Values

PROOF = b"proven "
"""What a value of `blocks` begins with, to be taken for final."""


class Chain:
    """A log with its blocks: every block orders one more record of partition 0, every second one of partition 1."""

    def __init__(self, blocks: int) -> None:
        self.genesis: Genesis = genesis()
        self.records = FakeTopic({0: [], 1: []})
        self.blocks = FakeTopic({0: []}, "blocks")
        self.headers: list[Header] = []
        self._heads = list(self.genesis.empty_heads())
        for height in range(1, blocks + 1):
            self.extend(height)

    def extend(self, height: int) -> None:
        self._record(0, height, b"value %d" % height)
        if height % 2:
            self._record(1, height // 2, None if height % 3 else b"")
        parent = self.headers[-1] if self.headers else None
        digest = block_digest(self.genesis.digest, encode_header(parent)) if parent else self.genesis.digest
        view = height + 1
        self.headers.append(
            Header(1, Epoch(0), height, view - 1 if parent else 0, digest, view, 0, height, tuple(self._heads))
        )
        self.publish(self.headers[-1])

    def publish(self, header: Header, proof: bytes = PROOF) -> None:
        self.blocks.values[0].append((len(self.blocks.values[0]), proof + encode_header(header)))

    def _record(self, partition: int, number: int, value: bytes | None) -> None:
        """One more record, with gaps in the offsets."""
        offset, head = 3 * number, self._heads[partition]
        self.records.values[partition].append((offset, value))
        digest = chain_next(head.chain_digest, 0, offset, value_digest(value))
        self._heads[partition] = Head(partition, 0, offset + 1, digest)

    def open_reader(self, topic: str, positions: Mapping[int, int]) -> LogReader:
        return {self.genesis.topic: self.records, self.genesis.topic_name("blocks"): self.blocks}[topic].open_reader(
            positions
        )

    def verify(self, value: bytes | None) -> FinalBlock | Rejection:
        if value is None or not value.startswith(PROOF):
            return Rejection(Reason.BAD_SIGNATURE)
        header_bytes = value.removeprefix(PROOF)
        header = decode_header(header_bytes, self.genesis.partitions)
        assert isinstance(header, Header)
        return FinalBlock(header, header_bytes, block_digest(self.genesis.digest, header_bytes), b"proof")

    def follow(
        self, store: Path, told: Callable[[FollowProgress], None] = lambda _: None, window: int = 4
    ) -> FollowProgress:
        limits = FollowLimits(window_blocks_max=window, pending_blocks_max=50, read_records_max=3)
        with StoreWriter(store) as writer:
            reader = StoreReader(store)
            return Follower(self.open_reader, self.genesis, writer, reader, self.verify, told, limits).run()


def _assert_holds(store: Path, chain: Chain) -> None:
    reader = StoreReader(store)
    finals = reader.final_after(0, 1000)
    assert [final.header_bytes for final in finals] == [encode_header(header) for header in chain.headers]
    for head in chain.headers[-1].heads:
        records = reader.records(head.partition, 0, head.end_offset)
        assert [(record.offset, record.value) for record in records] == chain.records.values[head.partition]
        assert records[-1].chain_digest == head.chain_digest


def test_a_store_is_filled_with_every_block_and_record_of_the_log(tmp_path: Path) -> None:
    chain = Chain(11)
    told: list[FollowProgress] = []
    assert chain.follow(tmp_path, told.append) == FollowProgress(11, 11, 17, 0)
    assert [progress.height for progress in told] == [4, 8, 11]
    _assert_holds(tmp_path, chain)


def test_junk_repetitions_and_disorder_among_the_blocks_change_nothing(tmp_path: Path) -> None:
    chain = Chain(6)
    values = [value for _, value in chain.blocks.values[0]]
    jumbled = [
        b"junk",
        values[2],
        None,
        values[1],
        values[0],
        values[1],
        values[5],
        values[5],
        values[4],
        b"",
        values[3],
    ]
    chain.blocks.values[0] = list(enumerate(jumbled))
    assert chain.follow(tmp_path).refused == 3
    _assert_holds(tmp_path, chain)


def test_records_that_no_block_orders_are_left_out(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.records.values[0] += [(100, b"later"), (101, b"later")]
    assert chain.follow(tmp_path).records == 5
    assert StoreReader(tmp_path).suffix(0, 100) == []


def test_a_second_run_continues_where_the_first_ended(tmp_path: Path) -> None:
    chain = Chain(5)
    chain.follow(tmp_path)
    for height in range(6, 9):
        chain.extend(height)
    assert chain.follow(tmp_path) == FollowProgress(8, 8, 4, 0)
    assert chain.records.opened[-1] == {1: chain.headers[4].heads[1].end_offset}
    _assert_holds(tmp_path, chain)


def test_records_of_a_run_that_was_broken_off_are_read_again(tmp_path: Path) -> None:
    chain = Chain(8)
    whole = chain.records.values[1].copy()
    chain.records.values[1] = whole[:-1]
    with pytest.raises(LogTooShort):
        chain.follow(tmp_path)
    assert StoreReader(tmp_path).last_height() == 4
    chain.records.values[1] = whole
    chain.follow(tmp_path)
    _assert_holds(tmp_path, chain)


def test_an_empty_log_leaves_an_empty_store(tmp_path: Path) -> None:
    assert Chain(0).follow(tmp_path) == FollowProgress(0, 0, 0, 0)


def test_a_missing_height_is_named(tmp_path: Path) -> None:
    chain = Chain(7)
    del chain.blocks.values[0][4]
    with pytest.raises(BlockMissing, match="lacks the block of height 5 but has height 6"):
        chain.follow(tmp_path)


def test_blocks_held_for_a_missing_height_are_bounded(tmp_path: Path) -> None:
    chain = Chain(60)
    chain.blocks.values[0].append((60, chain.blocks.values[0].pop(0)[1]))
    with pytest.raises(BlockMissing, match="lacks the block of height 1 "):
        chain.follow(tmp_path)


def test_a_pruned_topic_of_blocks_is_named(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.blocks.begins[0] = 1
    with pytest.raises(BlockMissing, match="no longer begins at offset 0"):
        chain.follow(tmp_path)


@pytest.mark.parametrize("window", [1, 4, 100])
def test_an_altered_value_is_found_at_the_block_that_ordered_it(tmp_path: Path, window: int) -> None:
    chain = Chain(9)
    offset, _ = chain.records.values[0][5]
    chain.records.values[0][5] = (offset, b"other")
    with pytest.raises(
        LogAltered, match=rf"partition 0 .* up to offset {offset + 1} do not hash to the head of block 6"
    ):
        chain.follow(tmp_path, window=window)


def _moved(values: Values) -> None:
    values[0][5] = (values[0][5][0] + 1, values[0][5][1])


def _removed(values: Values) -> None:
    del values[0][5]


def _added(values: Values) -> None:
    values[0].insert(6, (values[0][5][0] + 1, b"more"))


@pytest.mark.parametrize("alter", [_moved, _removed, _added])
def test_records_moved_removed_or_added_are_found(tmp_path: Path, alter: Callable[[Values], None]) -> None:
    chain = Chain(9)
    alter(chain.records.values)
    with pytest.raises(LogAltered, match="partition 0"):
        chain.follow(tmp_path)


def test_a_log_that_ends_before_the_heads_is_named(tmp_path: Path) -> None:
    chain = Chain(9)
    del chain.records.values[0][7:]
    with pytest.raises(LogTooShort, match=r"no record at or above offset 22, but block 8 orders all below 25"):
        chain.follow(tmp_path)


def test_an_end_that_a_reader_saw_before_the_records_came_is_not_believed(tmp_path: Path) -> None:
    chain = Chain(3)

    class Stale(FakeReader):
        def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
            return [] if self.positions == {0: 4} else super().read(1, 0)

        def at_end(self) -> bool:
            return True

    chain.records.readers = [Stale]
    chain.follow(tmp_path)
    _assert_holds(tmp_path, chain)


def test_a_log_that_was_pruned_below_the_heads_is_named(tmp_path: Path) -> None:
    chain = Chain(9)
    chain.records.begins[0] = 10
    with pytest.raises(LogTooShort, match="truncated, pruned or recreated"):
        chain.follow(tmp_path)


@pytest.mark.parametrize("missing", [None, 1])
def test_two_final_blocks_of_one_height_are_a_fork(tmp_path: Path, missing: int | None) -> None:
    chain = Chain(3)
    chain.publish(replace(chain.headers[2], time_ms=99))
    if missing is not None:
        chain.blocks.values[0].pop(missing)
    with pytest.raises(ChainBroken, match="two different blocks final at height 3: a fork"):
        chain.follow(tmp_path)


def test_a_final_block_of_another_parent_is_a_fork(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.publish(replace(chain.headers[2], height=4, parent_digest=bytes(32)))
    with pytest.raises(ChainBroken, match=r"Block 4 .* names the parent 0000"):
        chain.follow(tmp_path)


def test_a_final_block_that_sets_a_head_back_is_a_fork(tmp_path: Path) -> None:
    chain = Chain(3)
    parent = block_digest(chain.genesis.digest, encode_header(chain.headers[2]))
    chain.publish(replace(chain.headers[0], height=4, parent_digest=parent))
    with pytest.raises(ChainBroken, match="sets partition 0 back"):
        chain.follow(tmp_path)


def _open(chain: Chain, digest: bytes | None = None) -> None:
    """A final block that opens incarnation 1 of partition 0 at offset 2, then one that orders two records of it."""
    last = chain.headers[-1]
    opened = Head(0, 1, 2, digest or last.heads[0].chain_digest)
    chain.records.values[0] = [(0, b"other"), (2, b"first"), (3, b"second")]
    further = opened
    for offset, value in chain.records.values[0][1:]:
        further = Head(0, 1, offset + 1, chain_next(further.chain_digest, 1, offset, value_digest(value)))
    for head in (opened, further):
        before = chain.headers[-1]
        parent = block_digest(chain.genesis.digest, encode_header(before))
        heads = (head, *before.heads[1:])
        chain.headers.append(replace(before, height=before.height + 1, parent_digest=parent, heads=heads))
        chain.publish(chain.headers[-1])


def test_the_next_incarnation_is_followed_from_its_first_offset(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.follow(tmp_path)
    _open(chain)
    assert chain.follow(tmp_path).height == 5
    found = StoreReader(tmp_path).records(0, 2, 4, incarnation=1)
    assert [(record.offset, record.value) for record in found] == [(2, b"first"), (3, b"second")]
    assert found[-1].chain_digest == chain.headers[-1].heads[0].chain_digest
    assert chain.follow(tmp_path).height == 5


def test_an_opening_that_does_not_continue_the_chain_is_a_fork(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.follow(tmp_path)
    _open(chain, digest=bytes(32))
    with pytest.raises(ChainBroken, match="sets partition 0 back"):
        chain.follow(tmp_path)


def test_a_store_of_another_chain_is_refused(tmp_path: Path) -> None:
    chain = Chain(3)
    chain.follow(tmp_path)
    other = Chain(5)
    other.genesis = genesis(chain="other")
    with pytest.raises(FollowError):
        other.follow(tmp_path)
