"""A finalization that proves a fork stops a validator, however low the block that it is for."""

from dataclasses import replace

import pytest

from consensus.core import events
from consensus.wire.messages import Block, Kind
from tests.core_bench import Bench


@pytest.mark.parametrize("height", [1, 2, 3])
@pytest.mark.parametrize("is_proposal_heard", [False, True])
def test_later_finalization_of_a_block_beside_what_is_delivered_stops_us(height: int, is_proposal_heard: bool) -> None:
    bench = Bench()
    chain: list[Block] = []
    bench.hold(4)
    for view in (1, 2, 3):
        chain.append(bench.block(view, chain[-1] if chain else None, records=view))
        bench.hear(bench.propose(chain[-1]), bench.certificate(Kind.FINALIZE, view, chain[-1]))
    assert bench.core.state.chain.delivered is not None
    assert bench.core.state.chain.delivered.header.height == 3
    below = chain[height - 2] if height > 1 else None
    other = bench.block(9, below, records=height, time_ms=chain[-1].header.time_ms + 9, parent_view=height - 1)
    finalization = bench.certificate(Kind.FINALIZE, 9, other)
    if is_proposal_heard:
        bench.hear(bench.propose(other))
    bench.hear(replace(finalization, proposal=bench.propose(other)))
    assert [stop.is_fork for stop in bench.did(events.Stop)] == [True]


def test_later_finalization_of_the_delivered_block_itself_does_not() -> None:
    bench = Bench()
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block))
    again = bench.propose(block, view=2)
    bench.hear(again, replace(bench.certificate(Kind.FINALIZE, 2, block), proposal=again))
    assert bench.did(events.Stop) == []
    assert bench.core.state.views.final_view == 2
