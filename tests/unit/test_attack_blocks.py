"""Attacks on the `blocks` topic: what is published without end."""

from consensus.blocks import BlockReader
from consensus.keeper import BlocksKeeper
from tests.core_bench import START_MS, Bench


def test_a_block_that_the_log_never_shows_is_published_ever_more_rarely() -> None:
    published: list[bytes] = []
    kept = BlocksKeeper(BlockReader(Bench().genesis), published.append, lambda height, blocks_max: (), 500)
    kept.on_final(1, bytes(32), b"first", False, START_MS)
    for second in range(3_600):
        kept.on_time(START_MS + 1_000 * second)
    assert 10 < len(published) < 100
