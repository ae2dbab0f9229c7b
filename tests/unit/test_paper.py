"""The protocol sentence by sentence: first the paper's, then what ours says beyond it (`consensus/core/core.py`).

Each test is named by its sentence and plays it on one core. Cases of a rule lie beside it: R1 to R3 in
`test_core_leading`, R4 and R5 in `test_core_voting`, R6 to R10 and R13 in `test_core_certificates`, R11 in
`test_core_records`, R12 in `test_core_openings`; the leader table in `test_leader_table`, the quorum in `test_tally`.
"""

from dataclasses import replace
from typing import Any

import pytest

from consensus.core import events
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Kind, Proposal
from ledger.committee import Committees
from tests.core_bench import START_MS, Bench, notarized, restarted, with_block


def proposed(bench: Bench) -> Proposal:
    """The proposal that it has signed, the only one since the last look."""
    statements = [action.statement for action in bench.did(events.Sign)]
    (proposal,) = [statement for statement in statements if isinstance(statement, Proposal)]
    return proposal


def nullified(bench: Bench, *views: int) -> None:
    """The bench hears that views were nullified, without itself."""
    for view in views:
        others = [member for member in range(4) if member != bench.index]
        bench.hear(bench.certificate(Kind.NULLIFY, view, None, others))


# --- the paper: entering an iteration, proposing, voting ---


def test_on_entering_a_view_with_something_pending_a_timer_starts_and_when_it_fires_the_view_is_nullified() -> None:
    bench, _ = notarized()
    assert bench.timer is not None
    bench.pass_ms(bench.settings.timeout_ms)
    assert bench.said() == ["nullify 2"]


def test_the_leader_proposes_a_block_on_the_highest_notarized_one() -> None:
    bench = Bench(2)
    bench.hold(2)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.NOTARIZE, 1, block, (0, 1, 3)))
    header = proposed(bench).block.header
    assert (header.height, header.parent_view, header.parent_digest) == (2, 1, block.digest)


def test_the_leader_builds_on_a_notarized_block_over_views_that_were_nullified() -> None:
    bench = Bench(0)
    bench.hold(2)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.NOTARIZE, 1, block))
    nullified(bench, 2)
    bench.said()
    nullified(bench, 3)
    header = proposed(bench).block.header
    assert (header.view, header.parent_view, header.parent_digest) == (4, 1, block.digest)


def test_a_proposal_over_nullified_views_is_voted_for_by_who_has_all_the_nullifications() -> None:
    bench, block = notarized(records=2)
    child = bench.block(5, block, records=2)
    nullified(bench, 3, 4)
    bench.said()
    bench.hear(bench.propose(child))
    assert bench.said() == []
    nullified(bench, 2)
    assert bench.said() == ["notarize 5"]


def test_the_first_proposal_of_the_leader_is_voted_for_and_no_other_of_that_view() -> None:
    bench, block = with_block()
    bench.hear(bench.propose(bench.block(1, time_ms=START_MS + 1)))
    assert bench.core.state.views.at(1).own.votes[Kind.NOTARIZE].digest == block.digest
    assert "notarize 1" not in bench.said()


# --- the paper: what a quorum of votes does ---


def test_a_quorum_of_notarize_votes_enters_the_next_view_before_anything_is_final() -> None:
    bench, _ = notarized()
    assert (bench.core.state.view, bench.did(events.Finalize)) == (2, [])


def test_a_quorum_of_nullify_votes_enters_the_next_view_without_any_certificate() -> None:
    bench = Bench()
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (1, 2)))
    assert bench.core.state.view == 1
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (3,)))
    assert bench.core.state.view == 2


def test_who_did_not_nullify_the_view_votes_to_finalize_what_is_notarized_in_it() -> None:
    bench, block = with_block()
    bench.hear(bench.certificate(Kind.NOTARIZE, 1, block))
    assert bench.said() == ["finalize 1"]


def test_who_nullified_the_view_never_votes_to_finalize_in_it() -> None:
    bench, block = with_block()
    bench.pass_ms(bench.settings.timeout_ms)
    assert bench.said() == ["nullify 1"]
    bench.hear(bench.certificate(Kind.NOTARIZE, 1, block))
    assert "finalize 1" not in bench.said()


def test_who_voted_to_finalize_in_a_view_never_nullifies_it() -> None:
    bench, block = with_block()
    bench.hear(bench.certificate(Kind.NOTARIZE, 1, block))
    again = restarted(bench)
    for core in (bench, again):
        core.hold(1)
        core.pass_ms(10 * core.settings.timeout_max_ms)
        assert "nullify 1" not in core.said()


def test_a_quorum_of_finalize_votes_makes_the_block_and_its_ancestors_final() -> None:
    bench, block = notarized(records=2)
    child = bench.block(2, block, records=2)
    bench.hear(bench.propose(child), bench.certificate(Kind.NOTARIZE, 2, child))
    bench.actions.clear()
    bench.hear(*bench.votes(Kind.FINALIZE, 2, child, (1, 2, 3)))
    assert [final.block.digest for final in bench.did(events.Finalize)] == [block.digest, child.digest]


def test_a_finalization_may_come_before_anything_else_of_its_view() -> None:
    bench = Bench()
    bench.hold(1)
    block = bench.block(5)
    bench.hear(replace(bench.certificate(Kind.FINALIZE, 5, block), proposal=bench.propose(block)))
    assert [final.block.digest for final in bench.did(events.Finalize)] == [block.digest]
    assert bench.core.state.view == 6


# --- in place of the empty block: the parent again ---


def tip_again(index: int = 0) -> tuple[Bench, Block]:
    """Notarized in view 1 and, proposed again, in view 2."""
    bench = Bench(index)
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.NOTARIZE, 1, block))
    bench.hear(bench.propose(block, view=2), bench.certificate(Kind.NOTARIZE, 2, block))
    bench.said()
    return bench, block


def test_a_block_that_was_proposed_again_is_final_in_the_later_view_with_its_header_unchanged() -> None:
    bench, block = tip_again()
    bench.actions.clear()
    bench.hear(*bench.votes(Kind.FINALIZE, 2, block, (1, 2, 3)))
    (final,) = bench.did(events.Finalize)
    assert (final.block.digest, final.block.header.view, final.floor) == (block.digest, 1, 2)
    value = encode_block(final.block.header_bytes, final.block.proof)
    proven = BlockReader(bench.genesis, Committees.of(bench.genesis)).read(value)
    assert BlockReader(bench.genesis, Committees.of(bench.genesis)).is_final(proven)  # type: ignore[arg-type]


def test_a_child_of_a_block_that_was_proposed_again_names_the_later_view() -> None:
    bench, block = tip_again(index=3)
    bench.hold(1)
    header = proposed(bench).block.header
    assert (header.view, header.parent_view, header.parent_digest) == (3, 2, block.digest)


def test_a_child_that_names_the_earlier_view_waits_for_the_nullification_of_the_later_one() -> None:
    bench, block = tip_again()
    bench.hold(1)
    child = bench.block(3, block, records=2)
    assert child.header.parent_view == 1
    bench.hear(bench.propose(child))
    assert bench.said() == []
    nullified(bench, 2)
    assert bench.said() == ["notarize 3"]


def test_what_is_final_already_is_not_proposed_again() -> None:
    bench = Bench(3)
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block, (0, 1, 2)))
    nullified(bench, 2)
    bench.said()
    bench.pass_ms(100_000)
    assert bench.said() == []


# --- power instead of heads ---


def weighted(index: int = 0) -> Bench:
    """Powers 4, 3, 2, 1: a quorum is 7 of 10, more than a third is 4."""
    return Bench(index, powers=[4, 3, 2, 1])


def leading(bench: Bench, view: int) -> int:
    return bench.core.state.leader(view)


def test_a_quorum_is_more_than_two_thirds_of_the_power_however_few_they_are() -> None:
    bench = weighted(3)
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (1, 2)))
    assert bench.core.state.view == 1
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (0,)))
    assert bench.core.state.view == 2
    bench.hear(bench.certificate(Kind.NULLIFY, 2, None, (0, 1)))
    assert bench.core.state.view == 3


def test_three_of_four_without_the_power_are_no_quorum() -> None:
    bench = weighted(0)
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None, (1, 2, 3)))
    assert bench.core.state.view == 1


def test_leaders_take_turns_by_power() -> None:
    turns = [leading(weighted(), view) for view in range(1024)]
    assert [round(turns.count(member) / 102.4) for member in range(4)] == [4, 3, 2, 1]


@pytest.mark.parametrize(("speakers", "is_pending"), [((1,), False), ((2, 3), False), ((1, 3), True), ((0,), True)])
def test_words_of_more_than_a_third_of_the_power_make_my_view_pending(
    speakers: tuple[int, ...], is_pending: bool
) -> None:
    bench = Bench(4, members=5, powers=[4, 3, 2, 1, 0 + 1])
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, speakers))
    bench.pass_ms(bench.settings.timeout_ms)
    assert (bench.said() == ["nullify 1"]) is is_pending


def test_exactly_a_third_does_not() -> None:
    bench = Bench(members=3)
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (1,)))
    bench.pass_ms(100_000)
    assert bench.said() == []


# --- timers ---


def test_timers_grow_with_each_view_that_fails_up_to_a_maximum() -> None:
    bench = Bench()
    bench.hold(1)
    pace, lengths = bench.core.state.timers, []
    for view in range(1, 20):
        lengths.append(pace.timeout_ms())
        nullified(bench, view)
    assert lengths[:3] == [1_000, 1_500, 2_250]
    assert lengths == sorted(lengths)
    assert lengths[-1] == bench.settings.timeout_max_ms


def test_timers_shrink_on_progress() -> None:
    bench = Bench()
    bench.hold(1)
    nullified(bench, *range(1, 10))
    before = bench.core.state.timers.timeout_ms()
    bench.hear(bench.certificate(Kind.FINALIZE, 10, bench.block(10)))
    assert bench.core.state.timers.timeout_ms() < before


def test_a_view_that_is_left_takes_its_timer_with_it() -> None:
    bench = Bench()
    bench.hold(1)
    bench.pass_ms(900)
    nullified(bench, 1)
    bench.pass_ms(900)
    assert bench.said() == []
    bench.pass_ms(600)
    assert bench.said() == ["nullify 2"]


# --- checkpoint blocks, decided by headers alone ---


def final_tip(heights: int, **genesis: Any) -> tuple[Bench, Block]:
    """v0 after so many final blocks of a record each, and no more records."""
    bench = Bench(0, **genesis)
    bench.hold(heights)
    tip = bench.zero
    for view in range(1, heights + 1):
        tip = bench.block(view, tip if view > 1 else None, records=view)
        bench.hear(bench.propose(tip), bench.certificate(Kind.FINALIZE, view, tip))
    bench.said()
    return bench, tip


def test_a_block_that_orders_nothing_is_good_as_a_checkpoint_block_that_is_due_by_time() -> None:
    bench, tip = final_tip(2, checkpoint_time_ms=5_000)
    bench.now_ms += 5_000
    due = bench.block(3, tip, records=2, time_ms=START_MS + 5_000)
    bench.hear(bench.propose(due))
    assert bench.said() == ["notarize 3"]


def test_it_is_not_while_the_heads_are_those_of_the_last_checkpoint_block() -> None:
    bench, tip = final_tip(1, checkpoint_time_ms=5_000)
    bench.now_ms += 5_000
    idle = bench.block(2, tip, records=1, time_ms=START_MS + 5_000)
    bench.hear(bench.propose(idle))
    assert bench.said() == ["nullify 2"]


def test_every_kth_height_is_a_checkpoint_block_and_the_time_counts_from_it() -> None:
    bench, tip = final_tip(3, checkpoint_heights=3, checkpoint_time_ms=5_000)
    assert bench.core.state.chain.checkpoint.header.height == 3
    bench.now_ms += 4_000
    early = bench.block(4, tip, records=3, time_ms=START_MS + 4_000)
    bench.hear(bench.propose(early))
    assert bench.said() == ["nullify 4"]


# --- the log as the network ---


def test_a_certificate_is_taken_in_however_far_ahead_it_is_and_a_vote_is_not() -> None:
    bench = Bench()
    far = bench.settings.views_ahead_max + 1_000
    bench.hear(*bench.votes(Kind.NULLIFY, far, None, (1, 2, 3)))
    assert bench.core.state.view == 1
    bench.hear(bench.certificate(Kind.NULLIFY, far, None))
    assert bench.core.state.view == far + 1


def test_a_vote_counts_for_every_block_that_its_signer_voted_for() -> None:
    bench, block = with_block()
    twin = bench.block(1, time_ms=START_MS + 1)
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, twin, (3,)), *bench.votes(Kind.NOTARIZE, 1, block, (3, 1)))
    assert "finalize 1" in bench.said()


def test_two_finalize_votes_of_one_view_are_evidence() -> None:
    bench, block = notarized()
    bench.said()
    twin = bench.block(1, time_ms=START_MS + 1)
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (3,)), *bench.votes(Kind.FINALIZE, 1, twin, (3,)))
    (evidence,) = bench.did(events.Evidence)
    assert (evidence.validator, {evidence.first.digest, evidence.second.digest}) == (3, {block.digest, twin.digest})


def test_a_statement_is_signed_before_anything_that_rests_on_it_is_done() -> None:
    bench = Bench(members=1)
    bench.hold(1)
    kinds = [type(action) for action in bench.actions if isinstance(action, events.Sign | events.Finalize)]
    assert kinds == [events.Sign, events.Sign, events.Sign, events.Finalize]


def test_a_vote_below_the_last_finalization_is_answered_with_that_finalization() -> None:
    bench, _ = final_tip(2)
    bench.pass_ms(bench.settings.answer_ms + 1)
    bench.actions.clear()
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (3,)))
    (sent,) = bench.did(events.Send)
    assert (sent.message.kind, sent.message.view) == (Kind.FINALIZE, 2)
