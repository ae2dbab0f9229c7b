"""What execution reads ahead is bounded, in bytes and in records."""

from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any, cast

import pytest

from backbone.store import StoreReader
from ingest.verdicts import Record
from ledger.checkpoint_rule import genesis_mark
from ledger.columns import Verdicts
from ledger.state import Cursor
from node.execution.blocks import BlockSource
from node.execution.pipeline import Pipeline, PipelineLimits
from tests.builders import genesis
from tests.chain_builder import even_cuts, write_store

GENESIS = genesis(1, partitions=1)
BLOCKS, IN_A_BLOCK = 50, 40


class NeverJudging:
    """A pool whose workers are busy with something else."""

    def __init__(self) -> None:
        self.records = 0
        self.size_bytes = 0

    def submit(self, records: Sequence[Record]) -> "Future[Verdicts]":
        self.records += len(records)
        self.size_bytes += sum(len(value or b"") for *_, value in records)
        return Future()


def ahead(store: Path, limits: PipelineLimits) -> NeverJudging:
    """What execution has read from a store when nothing of it can be executed yet."""
    start = GENESIS.empty_heads()
    cursor = Cursor(GENESIS.digest, GENESIS.chain, "cluster", GENESIS.topic_id, 1, 0, GENESIS.digest, 0, start)
    pool, nothing = NeverJudging(), cast(Any, None)
    with StoreReader(store) as stored:
        source = BlockSource(stored, GENESIS, 0, GENESIS.digest, start, rehash=False)
        mark = genesis_mark(GENESIS)
        pipeline = Pipeline(GENESIS, source, cast(Any, pool), nothing, nothing, cursor, mark, limits, lambda *_: None)
        pipeline.advance(0)
        pipeline.drain()
    return pool


@pytest.mark.parametrize("value", [None, b"", b"x", b"x" * 100])
@pytest.mark.parametrize("limits", [PipelineLimits(ahead_records_max=100), PipelineLimits(ahead_bytes_max=4_000)])
def test_execution_reads_no_further_ahead_than_its_bounds_and_a_block(
    tmp_path: Path, value: bytes | None, limits: PipelineLimits
) -> None:
    count = BLOCKS * IN_A_BLOCK
    write_store(tmp_path, GENESIS, [[value] * count], even_cuts([count], BLOCKS))
    pool = ahead(tmp_path, limits)
    block_bytes = IN_A_BLOCK * len(value or b"")
    assert 0 < pool.records <= limits.ahead_records_max + IN_A_BLOCK
    assert pool.size_bytes <= limits.ahead_bytes_max + block_bytes


def test_blocks_that_order_next_to_nothing_are_not_read_ahead_without_end(tmp_path: Path) -> None:
    """A header has a head for each partition, a proof a signature for each validator, however little is ordered."""
    count, limits = 600, PipelineLimits(ahead_bytes_max=20_000)
    write_store(tmp_path, GENESIS, [[b""] * count], even_cuts([count], count))
    with StoreReader(tmp_path) as stored:
        final = stored.final_after(0, count)
    least = min(len(block.header_bytes) + len(block.proof) for block in final)
    assert ahead(tmp_path, limits).records <= limits.ahead_bytes_max // least + 1 < count // 2
