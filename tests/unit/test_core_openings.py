"""R12: a partition whose log was truncated or recreated goes on as its next incarnation, if a quorum sees the same."""

from dataclasses import replace
from typing import Any, Final

import pytest

from consensus.core import events
from consensus.wire.messages import Block, Kind, Proposal
from ledger.header import Head, Opening
from tests.core_bench import Bench

TOPIC: Final = "another-topic-id"
OPENING: Final = Opening(0, 1, TOPIC, 2)


def show(bench: Bench, opening: Opening | None = OPENING, incarnation: int = 0) -> None:
    bench.step(events.LogShown(bench.now_ms, 0, incarnation, opening))


def opened(bench: Bench, parent: Block, opening: Opening = OPENING, **changes: Any) -> Block:
    """View 2's block that opens behind `parent`, and nothing else."""
    head = Head(0, opening.incarnation, opening.from_offset, parent.header.heads[0].chain_digest)
    return bench.block(2, parent, **{"heads": (head,), "openings": (opening,), **changes})


def finalized(records: int = 1, index: int = 0) -> tuple[Bench, Block]:
    """A validator in view 2, where all of the log is final."""
    bench = Bench(index)
    bench.hold(records)
    block = bench.block(1, records=records)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block))
    assert [action.block.header.height for action in bench.did(events.Finalize)] == [1]
    return bench, block


def proposed(bench: Bench) -> Proposal | None:
    signs = [action.statement for action in bench.did(events.Sign)]
    return next((statement for statement in signs if isinstance(statement, Proposal)), None)


def test_what_the_own_broker_shows_is_pending_and_its_leader_proposes_the_opening() -> None:
    bench, block = finalized(index=2)
    show(bench)
    proposal = proposed(bench)
    assert proposal is not None
    header = proposal.block.header
    assert header.openings == (OPENING,)
    assert header.heads == (Head(0, 1, 2, block.header.heads[0].chain_digest),)
    assert header.parent_digest == block.digest


def test_a_leader_that_saw_nothing_opens_nothing() -> None:
    bench, _ = finalized(index=2)
    bench.pass_ms(10_000)
    assert proposed(bench) is None


def test_an_opening_that_the_own_broker_shows_too_is_notarized() -> None:
    bench, block = finalized()
    show(bench)
    bench.hear(bench.propose(opened(bench, block)))
    assert bench.said() == ["notarize 2"]


@pytest.mark.parametrize("other", [None, replace(OPENING, topic_id="x"), replace(OPENING, from_offset=1)])
def test_an_opening_that_the_own_broker_does_not_show_is_looked_at_and_waited_for(other: Opening | None) -> None:
    bench, block = finalized()
    show(bench, other)
    bench.said()
    bench.hear(bench.propose(opened(bench, block)))
    assert [action.partition for action in bench.actions if isinstance(action, events.Probe)] == [0]
    assert bench.said() == []
    show(bench)
    assert bench.said() == ["notarize 2"]


def test_an_opening_that_is_never_shown_costs_its_view() -> None:
    bench, block = finalized()
    bench.hear(bench.propose(opened(bench, block)), *bench.votes(Kind.NOTARIZE, 2, opened(bench, block), (1, 2)))
    bench.pass_ms(2_000)
    assert bench.said() == ["nullify 2"]


def _wrong(bench: Bench, block: Block) -> dict[str, Block]:
    head = opened(bench, block).header.heads[0]
    return {
        "another digest": opened(bench, block, heads=(replace(head, chain_digest=bytes(32)),)),
        "records with the opening": opened(bench, block, heads=(replace(head, end_offset=3),)),
        "two incarnations at once": opened(bench, block, replace(OPENING, incarnation=2)),
        "the same incarnation": opened(bench, block, replace(OPENING, incarnation=1), heads=block.header.heads),
        "an opening without its head": opened(bench, block, heads=(bench.head(2),)),
        "a head without its opening": opened(bench, block, openings=()),
    }


@pytest.mark.parametrize("what", list(_wrong(*finalized())))
def test_an_opening_that_does_not_follow_is_nullified(what: str) -> None:
    bench, block = finalized()
    bench.hold(1)
    show(bench)
    bench.said()
    bench.hear(bench.propose(_wrong(bench, block)[what]))
    assert bench.said() == ["nullify 2"]


def test_after_the_opening_is_final_records_of_the_next_incarnation_are_ordered() -> None:
    bench, block = finalized(index=3)
    show(bench)
    opening = opened(bench, block)
    bench.hear(bench.propose(opening), bench.certificate(Kind.FINALIZE, 2, opening))
    assert [action.block.header.height for action in bench.did(events.Finalize)] == [2]
    bench.step(events.HeadsAdvanced(bench.now_ms, {0: [(3, bytes([7] * 32), 10)]}))
    proposal = proposed(bench)
    assert proposal is not None
    assert proposal.block.header.heads == (Head(0, 1, 3, bytes([7] * 32)),)
    assert proposal.block.header.openings == ()


def test_what_is_shown_of_an_incarnation_that_is_over_is_void() -> None:
    bench, block = finalized(index=3)
    show(bench)
    opening = opened(bench, block)
    bench.hear(bench.propose(opening), bench.certificate(Kind.FINALIZE, 2, opening))
    show(bench)
    bench.pass_ms(10_000)
    assert proposed(bench) is None


def test_a_child_of_an_opening_adds_nothing_to_the_opened_partition() -> None:
    bench, block = finalized(index=3)
    bench.hold(1)
    show(bench)
    opening = opened(bench, block)
    bench.hear(bench.propose(opening), bench.certificate(Kind.NOTARIZE, 2, opening))
    proposal = proposed(bench)
    assert proposal is None
    bench.pass_ms(100)
    proposal = proposed(bench)
    assert proposal is not None
    assert proposal.is_reproposal, "the opening itself, so that it becomes final"


def test_a_log_that_came_back_is_no_longer_opened() -> None:
    bench, _ = finalized(index=2)
    bench.lag(10**9)
    bench.said()
    show(bench, None)
    bench.pass_ms(5_000)
    assert proposed(bench) is None
