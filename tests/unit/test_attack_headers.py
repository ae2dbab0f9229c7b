"""Attacks on headers: a finalization that comes before the proposals that it rests on."""

from dataclasses import replace

from consensus.core import events
from consensus.core.chain import UNLINKED_MAX
from consensus.wire.messages import Block, Kind
from tests.core_bench import Bench


def chain(bench: Bench, length: int) -> list[Block]:
    blocks = [bench.block(1)]
    for view in range(2, length + 1):
        blocks.append(bench.block(view, blocks[-1], records=view))
    return blocks


def delivered(bench: Bench) -> list[int]:
    return [final.block.header.height for final in bench.did(events.Finalize)]


def test_headers_that_we_hold_are_not_forgotten_while_the_finalized_one_is_not_known() -> None:
    """Were they, nobody might be left who knows them all, and a block that nobody can deliver nobody publishes."""
    bench = Bench()
    bench.hold(3)
    first, second, third = chain(bench, 3)
    bench.hear(bench.propose(first), bench.propose(second), bench.certificate(Kind.FINALIZE, 3, third))
    assert delivered(bench) == []
    bench.hear(bench.propose(third))
    assert delivered(bench) == [1, 2, 3]


def test_a_proposal_that_comes_after_the_finalization_of_a_later_block_is_taken_if_it_is_missing() -> None:
    bench = Bench()
    bench.hold(4)
    first, second, third, fourth = chain(bench, 4)
    bench.hear(bench.propose(first), bench.propose(fourth), bench.certificate(Kind.FINALIZE, 4, fourth))
    bench.hear(bench.propose(third), bench.propose(second))
    assert delivered(bench) == [1, 2, 3, 4]


def test_what_is_kept_for_a_header_that_never_comes_is_bounded() -> None:
    bench = Bench()
    first, second = chain(bench, 2)
    bench.hear(bench.certificate(Kind.FINALIZE, 2, second))
    for view in range(3, 3 + 2 * UNLINKED_MAX):
        block = bench.block(view, second)
        bench.core.state.chain.learn(block)
        bench.core.state.chain.prune(view - 1, second.digest)
    assert len(bench.core.state.chain) <= UNLINKED_MAX + 1
    bench.hear(replace(bench.certificate(Kind.FINALIZE, 2, second), proposal=bench.propose(second)))
    bench.hear(bench.propose(first))
    assert bench.core.state.chain.next_final() is not None
