"""Worlds that begin with a long chain: made as validators would have made it, and caught up with."""

from consensus.wire.final_blocks import BlockReader, encode_block
from ledger.block import FinalBlock
from ledger.committee import Committees
from simulation.long_chains import LongWorld
from simulation.parts.faults import CALM

BLOCKS = 200


def test_who_lacks_much_catches_up_with_a_chain_whose_blocks_were_published_late() -> None:
    world = LongWorld(2, faults=CALM, blocks=BLOCKS)
    heights = [validator.store.last_height() for validator in world.validators]
    assert heights[0] <= BLOCKS // 2
    assert heights[1:] == [BLOCKS] * 3
    world.run()
    assert {validator.store.last_height() for validator in world.validators} == {world.checkers.agreement.height}
    assert world.checkers.agreement.height > BLOCKS + 10


def test_blocks_that_were_made_are_final_for_anybody() -> None:
    world = LongWorld(1, faults=CALM, blocks=20)
    finals = world.validators[1].store.finals
    reader = BlockReader(world.genesis, Committees.of(world.genesis))
    verified = [reader.verify(encode_block(final.header_bytes, final.proof)) for final in finals]
    assert [block.header.height for block in verified if isinstance(block, FinalBlock)] == [*range(1, 21)]
