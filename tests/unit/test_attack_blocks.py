"""Attacks on the `blocks` topic: what is published without end, and proofs that nobody needs or that prove nothing."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import pytest

from consensus.core.block_publisher import BlockPublisher
from consensus.core.chain import FINALS_MAX
from consensus.wire import messages
from consensus.wire.final_blocks import DESCENDANTS_MAX, BlockReader
from consensus.wire.messages import Block
from ledger import header
from tests.core_bench import START_MS, Bench
from tests.loop_bench import LoopBench

BURST = 4


def test_a_block_that_the_log_never_shows_is_published_ever_more_rarely() -> None:
    published: list[bytes] = []
    kept = BlockPublisher(
        BlockReader((bench := Bench()).genesis, bench.committees), published.append, lambda height, blocks_max: (), 500
    )
    kept.on_final(1, bytes(32), b"first", False, START_MS)
    for second in range(3_600):
        kept.on_time(START_MS + 1_000 * second)
    assert 10 < len(published) < 100


def forged_chain(it: LoopBench, height: int, length: int = DESCENDANTS_MAX + 1) -> list[Block]:
    """Headers that are each the child of the one before, from `height` on; no validator ever saw them."""
    blocks = [it.bench.block(9_000, height=height)]
    for number in range(1, length):
        blocks.append(it.bench.block(9_000 + number, blocks[-1]))
    return blocks


def unsigned(it: LoopBench, height: int) -> bytes:
    """A deep proof whose signatures are noise."""
    first, *rest = forged_chain(it, height)
    noise = tuple((member, bytes(64)) for member in (1, 2, 3))
    return it.record(first, replace(it.finalization(rest[-1]), signatures=noise), rest)


def genuine_tip(it: LoopBench, height: int) -> bytes:
    """A deep proof whose finalization is good, with headers before its block that do not lead to it."""
    first, *rest = forged_chain(it, height, DESCENDANTS_MAX)
    return it.record(first, it.finalization(it.chain[-1]), [*rest, it.chain[-1]])


def wrong_tip(it: LoopBench, height: int) -> bytes:
    """A deep proof with a good finalization of another block."""
    first, *rest = forged_chain(it, height)
    return it.record(first, it.finalization(it.chain[-1]), rest)


def replayed(it: LoopBench, height: int) -> bytes:
    """A good record, as deep as the chain allows."""
    return it.record(it.chain[height - 1], it.finalization(it.chain[-1]), it.chain[height:])


FORGERIES: dict[str, tuple[Callable[[LoopBench, int], bytes], int]] = {
    "delivered long ago": (unsigned, 3),
    "too far above": (unsigned, FINALS_MAX + 500),
    "without good signatures": (unsigned, 20),
    "of another block": (wrong_tip, 20),
    "with a good end": (genuine_tip, 20),
    "delivered, and true": (replayed, 3),
    "known to be final, and true": (replayed, 250),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_deep_proof_that_proves_nothing_new_costs_no_more_than_a_few_headers(
    monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    forge, height = FORGERIES[what]
    it = LoopBench(280)
    for offset, block in enumerate(it.chain[:10]):
        it.take(it.blocks_topic, it.record(block), offset)
    it.take(it.blocks_topic, it.record(it.chain[249]), 10)
    it.end_turn()
    burst = [forge(it, height) for _ in range(BURST)]
    headers: list[bytes] = []
    decode_header = header.decode_header

    def counting(data: bytes, partitions_max: int) -> object:
        headers.append(data)
        return decode_header(data, partitions_max)

    monkeypatch.setattr(messages, "decode_header", counting)
    before = it.verifications
    for offset, value in enumerate(burst, 11):
        it.take(it.blocks_topic, value, offset)
    assert len(headers) <= 4 * BURST
    assert it.verifications - before <= 4 * BURST
    assert it.height() == 10


def test_a_catch_up_goes_on_behind_a_burst_of_forged_proofs() -> None:
    it = LoopBench(30)
    it.know_top()
    values = [unsigned(it, 20), genuine_tip(it, 20), *map(it.record, it.chain), wrong_tip(it, 20)]
    for offset, value in enumerate(values):
        it.take(it.blocks_topic, value, offset)
    for _ in range(10):
        it.end_turn()
    assert it.height() == 30


@pytest.mark.parametrize("order", ["upwards", "the first one last", "downwards"])
def test_a_turn_gives_the_store_no_more_than_a_few_blocks_however_many_become_final_at_once(order: str) -> None:
    blocks = 120
    it = LoopBench(blocks)
    it.know_top()
    values = list(map(it.record, it.chain))
    if order == "the first one last":
        values = [*values[1:], values[0]]
    elif order == "downwards":
        values.reverse()
    for offset, value in enumerate(values):
        it.take(it.blocks_topic, value, offset)
    heights = [it.height()]
    while it.height() < blocks:
        it.end_turn()
        heights.append(it.height())
        assert heights[-1] > heights[-2], "the loop asks to be woken as long as blocks wait"
        assert heights[-1] == blocks or it.loop.wake_ms() is not None
    assert max(after - before for before, after in pairwise(heights)) <= 32
