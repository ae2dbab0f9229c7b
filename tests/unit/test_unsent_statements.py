"""What was journaled before a process ended leaves when it starts again, before anything that rests on it."""

from backbone.intake.intake import Advance
from backbone.store import Entry
from consensus.wire.messages import NO_DIGEST, Kind, Proposal, Statement, Vote
from ledger.committee import FIRST_EPOCH
from tests.core_bench import Bench
from tests.loop_bench import LoopBench


def nullify(view: int, member: int) -> Statement:
    signed: Statement = Bench().sign(Vote(Kind.NULLIFY, FIRST_EPOCH, view, NO_DIGEST, member), member)
    return signed


def test_a_vote_of_an_earlier_life_leaves_before_the_proposal_that_rests_on_it() -> None:
    committee = LoopBench(0).committees.current
    last = next(view for view in range(1, 9) if committee.leader(view + 1) == 0)
    bench = LoopBench(1, holds_records=False, journaled=[nullify(last, 0)])
    head = bench.chain[0].header.heads[0]
    bench.loop.take(Advance(0, 0, (Entry(head.end_offset, head.chain_digest, 10),)), 0)
    for view in range(1, last + 1):
        for member in (1, 2, 3):
            bench.take(bench.topics[member], bench.bench.wire.encode(nullify(view, member)))
    bench.end_turn()
    said = [bench.bench.wire.decode(value) for value in bench.sent]
    proposed = [at for at, message in enumerate(said) if isinstance(message, Proposal) and message.view == last + 1]
    assert said.index(nullify(last, 0)) < proposed[0]


def test_it_leaves_before_anything_is_taken() -> None:
    """What is taken may end the view, and have records dropped that the vote promised."""
    bench = LoopBench(1, holds_records=False, journaled=[nullify(1, 0)])
    assert bench.sent == []
    bench.take(bench.topics[1], b"anything")
    assert bench.sent == [bench.bench.wire.encode(nullify(1, 0))]
    bench.end_turn()
    assert bench.sent.count(bench.bench.wire.encode(nullify(1, 0))) == 1
