"""Attacks around openings (R12): what a log that was cut leaves behind, and leaders that tell of cuts there are not."""

from dataclasses import replace

from consensus.core import events
from consensus.wire.messages import Block, Kind
from ledger.header import Head, Opening
from tests.core_bench import Bench

OPENING = Opening(0, 1, "another-topic-id", 0)


def opened(bench: Bench, parent: Block, view: int, opening: Opening = OPENING) -> Block:
    """A block of `view` that opens the next incarnation behind `parent`, and nothing else."""
    head = Head(0, opening.incarnation, opening.from_offset, parent.header.heads[0].chain_digest)
    return bench.block(view, parent, heads=(head,), openings=(opening,))


def notarize(bench: Bench, block: Block) -> None:
    """A quorum's word for a block that is not final, and for which we did not vote."""
    certificate = bench.certificate(Kind.NOTARIZE, block.header.view, block)
    bench.hear(replace(certificate, proposal=bench.propose(block)))


def fetches(bench: Bench) -> list[events.Fetch]:
    return [action for action in bench.actions if isinstance(action, events.Fetch)]


def test_records_below_an_opening_that_is_not_final_are_asked_of_others() -> None:
    """The log that held them was cut: nobody but the voters has them, and who lacks them can never vote."""
    bench = Bench()
    block = bench.block(1, records=2)
    notarize(bench, block)
    notarize(bench, opened(bench, block, 2))
    bench.pass_ms(bench.settings.fetch_ms)
    assert fetches(bench) == [events.Fetch(bench.head(0), bench.head(2))]


def test_an_opening_is_looked_at_though_one_that_there_is_not_was_just_looked_at() -> None:
    bench = Bench()
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block))
    bench.hear(bench.propose(opened(bench, block, 2, replace(OPENING, topic_id="a-lie"))))
    assert len(bench.did(events.Probe)) == 1
    bench.hear(bench.certificate(Kind.NULLIFY, 2, None))
    honest = bench.block(3, block, parent_view=1, heads=opened(bench, block, 2).header.heads, openings=(OPENING,))
    bench.hear(bench.propose(honest))
    assert bench.did(events.Probe) == []
    bench.pass_ms(bench.settings.reread_ms)
    assert len(bench.did(events.Probe)) == 1


def test_records_below_an_opening_that_is_not_final_stay_though_the_log_no_longer_shows_them() -> None:
    bench = Bench()
    bench.hold(2)
    block = bench.block(1, records=2)
    notarize(bench, block)
    notarize(bench, opened(bench, block, 2))
    bench.step(events.LogShown(bench.now_ms, 0, 0, None, 0))
    assert bench.did(events.Reread) == []
    assert bench.core.state.heads.records() == 2


def test_records_below_an_opening_that_we_voted_for_are_set_aside_when_others_take_their_place() -> None:
    bench = Bench()
    bench.hold(2)
    bench.step(events.LogShown(bench.now_ms, 0, 0, OPENING))
    block = bench.block(1, records=2)
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    notarize(bench, block)
    bench.hear(bench.propose(opened(bench, block, 2)))
    assert "notarize 2" in bench.said()
    bench.hear(bench.certificate(Kind.NULLIFY, 2, None))
    other = replace(bench.head(2), chain_digest=bytes(32))
    notarize(bench, bench.block(3, heads=(other,)))
    assert bench.did(events.Reread) == [events.Reread(0, 0, 0, 2, bench.head(0), other)]


def test_records_of_another_partition_behind_an_opening_are_asked_of_others() -> None:
    bench = Bench(partitions=2)
    start, other = bench.genesis.empty_heads()
    first = bench.block(1, heads=(bench.head(1), other))
    head = Head(0, 1, 0, bench.head(1).chain_digest)
    opening = bench.block(2, first, heads=(head, other), openings=(OPENING,))
    more = replace(other, end_offset=1, chain_digest=bytes([7] * 32))
    for block in (first, opening, bench.block(3, opening, heads=(head, more))):
        notarize(bench, block)
    bench.pass_ms(bench.settings.fetch_ms)
    assert fetches(bench) == [events.Fetch(start, bench.head(1)), events.Fetch(other, more)]
