"""The rules of the core (R1 to R10 in its specification), one by one, on a core that hears what we let it hear."""

from dataclasses import replace
from typing import Any

import pytest

from consensus import events
from consensus.blocks import BlockReader, Proven, encode_block
from consensus.messages import Block, Certificate, Kind, Proposal
from consensus.state import Restored
from ledger.block import FinalBlock
from ledger.header import Head, Offset, Opening
from tests.core_bench import START_MS, Bench


def with_block(records: int = 1) -> tuple[Bench, Block]:
    """v0, which holds some records and has notarized view 1's block."""
    bench = Bench()
    bench.hold(records)
    block = bench.block(1)
    bench.hear(bench.propose(block))
    assert bench.said() == ["notarize 1"]
    return bench, block


def notarized(records: int = 1) -> tuple[Bench, Block]:
    """... and for which it is notarized: v0 is in view 2."""
    bench, block = with_block(records)
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.said() == ["finalize 1"]
    return bench, block


# --- R1, R2: entering a view, what is pending ---


def test_nothing_pending_no_timer_and_not_a_word() -> None:
    bench = Bench()
    bench.pass_ms(10**9)
    assert bench.timer is None
    assert bench.did(events.Sign) == bench.did(events.Send) == []


def test_timer_runs_from_the_moment_that_a_record_is_held() -> None:
    bench = Bench()
    bench.pass_ms(5_000)
    bench.hold(1)
    bench.pass_ms(999)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == ["nullify 1"]


def test_more_than_a_third_of_the_power_speaking_in_my_view_is_pending() -> None:
    bench = Bench()
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (2,)))
    bench.pass_ms(5_000)
    assert bench.said() == []
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (3,)))
    bench.pass_ms(1_000)
    assert bench.said() == ["nullify 1"]


def test_a_notarized_block_that_is_not_final_is_pending() -> None:
    bench, _ = notarized()
    bench.pass_ms(1_000)
    assert bench.said() == ["nullify 2"]


def test_timeouts_grow_with_nullified_views_and_shrink_on_a_finalization() -> None:
    bench = Bench()
    bench.hold(1)
    for view in (1, 2, 3):
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
    pace = bench.core.state.pace
    assert pace.timeout_ms() == 3_375
    bench.hear(bench.certificate(Kind.FINALIZE, 4, bench.block(4)))
    assert pace.timeout_ms() == 1_500


# --- R3: leading ---


def test_a_leader_with_something_to_add_proposes_at_once() -> None:
    bench = Bench(1)
    bench.hold(3)
    proposal = bench.actions[0]
    assert isinstance(proposal, events.Sign)
    assert isinstance(proposal.statement, Proposal)
    assert proposal.statement.block.header.heads == (bench.head(3),)
    assert bench.said() == ["propose 1", "notarize 1"]


def test_a_leader_proposes_once_in_a_view() -> None:
    bench = Bench(1)
    bench.hold(1)
    bench.hold(1)
    assert bench.said() == ["propose 1", "notarize 1"]


def test_a_leader_with_nothing_to_add_proposes_nothing_while_nothing_is_pending() -> None:
    bench = Bench(1)
    bench.pass_ms(100_000)
    assert bench.said() == []


def test_the_next_leader_builds_on_a_notarized_block_before_it_is_final() -> None:
    bench = Bench(2)
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block))
    bench.hold(1)
    bench.said()
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 3)))
    assert bench.said() == ["finalize 1", "propose 2", "notarize 2"]


def test_a_leader_with_nothing_to_add_proposes_the_tip_again_after_idle_ms() -> None:
    bench = Bench(2)
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), *bench.votes(Kind.NOTARIZE, 1, block, (1, 3)))
    bench.said()
    bench.pass_ms(49)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == ["propose 2 again", "notarize 2"]


def test_a_final_tip_is_not_proposed_again() -> None:
    bench = Bench(2)
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block, (0, 1, 3)))
    bench.said()
    bench.pass_ms(50_000)
    assert bench.said() == []


def test_a_leader_without_the_nullifications_since_the_parent_proposes_nothing() -> None:
    bench = Bench(3)
    bench.hear(bench.certificate(Kind.NULLIFY, 2, None, (0, 1, 2)))
    bench.hold(1)
    assert bench.said() == []
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None, (0, 1, 2)))
    assert bench.said() == ["propose 3", "notarize 3"]


def test_a_leader_that_nullified_its_view_proposes_nothing_in_it() -> None:
    bench = Bench(1)
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (2, 3)))
    bench.pass_ms(1_000)
    assert bench.said() == ["nullify 1"]
    bench.hold(1)
    assert bench.said() == []


def test_a_leader_whose_executor_is_behind_orders_nothing_more() -> None:
    bench = Bench(1)
    bench.lag(bench.settings.lag_max + 1)
    bench.hold(1)
    assert bench.said() == []
    bench.lag(0)
    assert bench.said() == ["propose 1", "notarize 1"]


def test_a_leader_halves_its_step_after_a_nullified_view_of_its_own() -> None:
    bench = Bench(0, limits=replace(Bench().genesis.limits, records_max=8))
    for view in range(1, 5):
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
    for view in range(5, 8):
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
    bench.said()
    bench.hold(20)
    proposal = bench.actions[0]
    assert isinstance(proposal, events.Sign)
    assert isinstance(proposal.statement, Proposal)
    assert proposal.statement.block.header.heads[0].end_offset == 4


# --- R4: the first proposal ---


def test_first_good_proposal_is_notarized() -> None:
    bench, block = with_block()
    vote = bench.core.state.views.at(1).own.votes[Kind.NOTARIZE]
    assert vote.digest == block.digest


def test_a_proposal_waits_for_its_records() -> None:
    bench = Bench()
    bench.hear(bench.propose(bench.block(1, records=2)))
    bench.hold(1)
    assert bench.said() == []
    bench.hold(1)
    assert bench.said() == ["notarize 1"]


def test_a_proposal_waits_while_the_executor_is_behind() -> None:
    bench = Bench()
    bench.lag(bench.settings.lag_max + 1)
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1)))
    assert bench.said() == []
    bench.lag(bench.settings.lag_max)
    assert bench.said() == ["notarize 1"]


def test_a_block_from_the_future_waits_until_the_clock_is_near() -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1, time_ms=START_MS + bench.settings.drift_ms + 500)))
    bench.pass_ms(499)
    assert bench.said() == []
    bench.pass_ms(1)
    assert bench.said() == ["notarize 1"]


def test_a_second_proposal_is_not_notarized_and_the_view_is_nullified_with_evidence() -> None:
    bench, block = with_block()
    twin = bench.block(1, time_ms=START_MS + 1)
    bench.hear(bench.propose(twin))
    (evidence,) = [action for action in bench.actions if isinstance(action, events.Evidence)]
    assert evidence.validator == 1
    assert {evidence.first, evidence.second} == {bench.propose(block), bench.propose(twin)}
    assert bench.said() == ["nullify 1"]


def test_a_proposal_for_a_view_that_is_not_mine_is_kept_until_it_is() -> None:
    bench, block = with_block(records=2)
    child = bench.block(2, block, records=2)
    bench.hear(bench.propose(child))
    assert bench.said() == []
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.said() == ["finalize 1", "notarize 2"]


def test_a_proposal_signed_by_another_than_the_leader_is_nothing() -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1), signer=2))
    assert bench.said() == []


INVALID: dict[str, dict[str, Any]] = {
    "another protocol version": {"protocol_version": 2},
    "another epoch": {"epoch": 1},
    "another proposer": {"proposer": 2},
    "a height that skips": {"height": 2},
    "a parent that nobody notarized": {"parent_digest": bytes(32)},
    "a time that is its parent's": {"time_ms": 0},
    "an opening": {"openings": (Opening(0, 1, "id", 0),)},
    "a seal": {"seal": b"seal"},
    "heads that add nothing": {"heads": (Bench().head(0),)},
}


@pytest.mark.parametrize("what", INVALID)
def test_an_invalid_proposal_is_nullified(what: str) -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1, **INVALID[what])))
    assert bench.said() == ["nullify 1"]


def test_a_contradicted_proposal_has_the_log_read_again_and_is_nullified_if_it_still_is() -> None:
    bench = Bench()
    bench.hold(2)
    bench.hear(bench.propose(bench.block(1, heads=(Head(0, 0, Offset(2), bytes(32)),))))
    rereads = [action for action in bench.actions if isinstance(action, events.Reread)]
    assert rereads == [events.Reread(0, 0, 0, 0, None, None)]
    assert bench.core.state.heads.records() == 0
    assert bench.said() == [], "the log may show what the leader saw"
    bench.hold(0)
    bench.step(events.HeadsAdvanced(bench.now_ms, {0: [(2, bench.head(2).chain_digest, 10)]}))
    assert bench.said() == ["nullify 1"]


def test_records_of_a_notarized_block_stay_when_the_log_is_read_again() -> None:
    bench, block = notarized(records=2)
    bench.hold(2)
    bench.did(events.Reread)
    bench.hear(bench.propose(bench.block(2, block, heads=(Head(0, 0, Offset(3), bytes(32)),))))
    assert bench.did(events.Reread) == [events.Reread(0, 0, 1, 1, None, None)]
    assert bench.core.state.heads.records() == 0, "all above the last delivered head is told again"


def test_heads_that_go_back_are_nullified() -> None:
    bench, block = notarized(records=1)
    bench.hear(bench.propose(bench.block(2, block, heads=(bench.head(0),))))
    assert bench.said() == ["nullify 2"]


def test_more_records_than_a_block_may_hold_are_nullified() -> None:
    bench = Bench(limits=replace(Bench().genesis.limits, records_max=2))
    bench.hold(3)
    bench.hear(bench.propose(bench.block(1, records=3)))
    assert bench.said() == ["nullify 1"]


def test_more_bytes_than_a_block_may_hold_are_nullified_unless_it_is_one_record() -> None:
    small = replace(Bench().genesis.limits, bytes_max=100)
    bench = Bench(limits=small)
    bench.hold(2, size_bytes=101)
    bench.hear(bench.propose(bench.block(1, records=2)))
    assert bench.said() == ["nullify 1"]
    bench = Bench(limits=small)
    bench.hold(1, size_bytes=101)
    bench.hear(bench.propose(bench.block(1, records=1)))
    assert bench.said() == ["notarize 1"]


def test_a_proposal_that_skips_a_view_without_its_nullification_waits() -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.certificate(Kind.NULLIFY, 2, None))
    bench.hear(bench.propose(bench.block(3)))
    assert bench.said() == []
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    assert bench.said() == ["notarize 3"]


def test_a_reproposal_of_the_notarized_block_is_notarized() -> None:
    bench, block = notarized()
    bench.hear(bench.propose(block, view=2))
    assert bench.said() == ["notarize 2"]


def test_a_reproposal_over_a_gap_without_nullification_waits() -> None:
    bench, block = notarized()
    bench.hear(bench.certificate(Kind.NULLIFY, 3, None))
    bench.said()
    bench.hear(bench.propose(block, view=4, signer=0))
    assert bench.said() == []


def test_a_reproposal_of_a_block_that_nobody_notarized_is_not_notarized() -> None:
    bench, block = with_block()
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    bench.said()
    bench.hear(bench.propose(block, view=2))
    assert bench.said() == []


def test_a_checkpoint_block_is_valid_when_it_is_due_and_not_before() -> None:
    bench, block = notarized()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)))
    second = bench.block(2, block, records=2, time_ms=START_MS + 1)
    bench.hold(1)
    bench.hear(bench.propose(second), bench.certificate(Kind.FINALIZE, 2, second))
    bench.pass_ms(59_000)
    bench.said()
    early = bench.block(3, second, records=2, time_ms=START_MS + 59_999)
    bench.hear(bench.propose(early))
    assert bench.said() == ["nullify 3"]


# --- R5: nullify ---


def test_notarize_then_nullify_is_allowed() -> None:
    bench, _ = with_block()
    bench.pass_ms(1_000)
    assert bench.said() == ["nullify 1"]


def test_nothing_is_notarized_in_a_view_that_was_nullified() -> None:
    bench = Bench()
    bench.hold(1)
    bench.pass_ms(1_000)
    assert bench.said() == ["nullify 1"]
    bench.hear(bench.propose(bench.block(1)))
    assert bench.said() == []


def test_only_the_current_view_is_nullified() -> None:
    bench, _ = notarized()
    bench.pass_ms(100_000)
    assert "nullify 1" not in bench.said()


def test_an_inactive_leader_is_nullified_as_soon_as_something_is_pending() -> None:
    bench = Bench()
    for view in range(1, 25):
        bench.hear(bench.certificate(Kind.NULLIFY, view, None, (0, 2, 3)))
    assert bench.core.state.leader(bench.core.state.view) == 1
    bench.said()
    bench.hold(1)
    assert bench.said() == ["nullify 25"]


def test_a_validator_whose_votes_are_always_late_is_not_inactive() -> None:
    bench = Bench()
    for view in range(1, 25):
        bench.hear(bench.certificate(Kind.FINALIZE, view, bench.block(view), (0, 2, 3)))
        bench.hear(*bench.votes(Kind.FINALIZE, view, bench.block(view), (1,)))
    bench.said()
    bench.hold(1)
    assert bench.core.state.leader(bench.core.state.view) == 1
    assert bench.said() == []


# --- R6, R7, R8: certificates ---


def test_a_notarization_is_finalized_and_the_next_view_entered() -> None:
    bench, _ = notarized()
    assert bench.core.state.view == 2


def test_a_view_that_was_nullified_is_not_finalized() -> None:
    bench, block = with_block()
    bench.pass_ms(1_000)
    bench.said()
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.said() == []
    assert bench.core.state.view == 2


def test_a_late_notarization_of_a_view_left_by_nullification_is_finalized() -> None:
    bench, block = with_block()
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    assert bench.core.state.view == 2
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    assert bench.said() == ["finalize 1"]


def test_a_certificate_from_anywhere_moves_the_view() -> None:
    bench = Bench()
    bench.hear(bench.certificate(Kind.NULLIFY, 500, None))
    assert bench.core.state.view == 501


def test_two_thirds_exactly_are_no_quorum() -> None:
    bench = Bench(members=3)
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None, (1, 2)))
    assert bench.core.state.view == 1
    assert bench.core.state.refusals.total() == 1


def test_a_notarization_is_not_finality() -> None:
    bench, _ = notarized()
    assert bench.core.state.chain.delivered.header.height == 0
    assert bench.did(events.Finalize) == []


def test_a_finalization_delivers_the_block_with_a_proof_that_verifies() -> None:
    bench, block = notarized()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)))
    (final,) = bench.did(events.Finalize)
    verified = BlockReader(bench.genesis).verify(encode_block(final.block.header_bytes, final.block.proof))
    assert isinstance(verified, FinalBlock)
    assert verified.digest == block.digest


def test_a_finalization_delivers_ancestors_first() -> None:
    bench, block = notarized(records=2)
    child = bench.block(2, block, records=2)
    bench.hear(bench.propose(child), bench.certificate(Kind.FINALIZE, 2, child))
    finals = bench.did(events.Finalize)
    assert [final.block.digest for final in finals] == [block.digest, child.digest]
    assert all(
        isinstance(BlockReader(bench.genesis).verify(encode_block(f.block.header_bytes, f.block.proof)), FinalBlock)
        for f in finals
    )


def test_a_final_block_is_delivered_when_its_records_are_held() -> None:
    bench = Bench()
    block = bench.block(1, records=2)
    bench.hear(bench.propose(block), bench.certificate(Kind.FINALIZE, 1, block))
    assert bench.did(events.Finalize) == []
    bench.hold(2)
    assert len(bench.did(events.Finalize)) == 1


def test_a_final_block_whose_header_is_missing_is_delivered_when_its_proposal_comes_late() -> None:
    bench = Bench()
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.certificate(Kind.FINALIZE, 1, block))
    assert bench.core.state.is_missing_a_block()
    bench.hear(bench.propose(block))
    assert len(bench.did(events.Finalize)) == 1


def test_a_record_of_blocks_is_enough_to_catch_up() -> None:
    bench, block = notarized()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)))
    (final,) = bench.did(events.Finalize)
    other = Bench(3)
    other.hold(1)
    other.step(events.BlockRead(START_MS, encode_block(final.block.header_bytes, final.block.proof)))
    assert other.core.state.chain.delivered.digest == block.digest
    assert other.core.state.view == 2


def test_nothing_at_or_below_the_last_finalization_is_remembered() -> None:
    bench, block = notarized()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)))
    assert [state.view for state in bench.core.state.views] == [2]
    assert len(bench.core.state.chain) == 1


# --- R9: stalls and answers ---


def test_on_a_stall_certificates_and_own_words_are_said_again_with_back_off() -> None:
    bench = Bench()
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    bench.hold(1)
    bench.pass_ms(500)
    assert bench.did(events.Send) == []
    bench.pass_ms(500)
    assert [type(send.message) for send in bench.did(events.Send)] == [Certificate]
    bench.pass_ms(1_999)
    assert bench.did(events.Send) == []
    bench.pass_ms(1)
    assert len(bench.did(events.Send)) == 2


def test_words_below_the_last_finalization_are_answered_with_it_now_and_then() -> None:
    bench, block = notarized()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)))
    bench.did(events.Send)
    late = bench.votes(Kind.FINALIZE, 1, block, (3,))
    bench.hear(*late)
    assert bench.did(events.Send) == []
    bench.pass_ms(1_000)
    bench.hear(*late, *late)
    (answer,) = bench.did(events.Send)
    assert answer.message.kind is Kind.FINALIZE
    assert answer.message.proposal is not None


def test_an_answer_is_not_answered() -> None:
    bench, block = notarized()
    certificate = bench.certificate(Kind.FINALIZE, 1, block)
    bench.hear(certificate)
    bench.pass_ms(5_000)
    bench.did(events.Send)
    bench.hear(certificate)
    assert bench.did(events.Send) == []


# --- R10: never ---


def test_own_words_come_back_from_the_log_without_harm() -> None:
    bench, block = with_block()
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (0,)))
    assert bench.did(events.Stop) == []


@pytest.mark.parametrize("kind", [Kind.NULLIFY, Kind.FINALIZE])
def test_a_vote_under_our_key_that_we_did_not_make_stops_us(kind: Kind) -> None:
    bench, block = with_block()
    bench.hear(*bench.votes(kind, 1, None if kind is Kind.NULLIFY else block, (0,)))
    assert len(bench.did(events.Stop)) == 1


def test_a_proposal_under_our_key_that_we_did_not_make_stops_us() -> None:
    bench = Bench(1)
    bench.hear(bench.propose(bench.block(1)))
    assert len(bench.did(events.Stop)) == 1


def restarted(bench: Bench) -> Bench:
    """A core that remembers of the other only what a journal would: what it has said since the last look."""
    own = tuple(bench.sign(action.statement, bench.index) for action in bench.did(events.Sign))
    return Bench(bench.index, Restored(bench.zero, bench.zero, own=own))


def test_after_a_restart_nothing_that_was_said_is_contradicted() -> None:
    bench = Bench()
    bench.hold(1)
    block = bench.block(1)
    bench.hear(bench.propose(block))
    again = restarted(bench)
    again.hold(1)
    again.hear(again.propose(again.block(1, time_ms=START_MS + 1)))
    assert "notarize 1" not in again.said()


def test_after_a_restart_a_view_that_was_nullified_is_not_finalized() -> None:
    bench = Bench()
    bench.hold(1)
    bench.pass_ms(1_000)
    again = restarted(bench)
    block = again.block(1)
    again.hear(again.propose(block), again.certificate(Kind.NOTARIZE, 1, block))
    assert again.said() == []


def test_after_a_restart_a_view_that_was_finalized_is_not_nullified() -> None:
    bench, block = with_block()
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)))
    again = restarted(bench)
    again.hold(1)
    again.pass_ms(60_000)
    assert "nullify 1" not in again.said()


def test_after_a_restart_nothing_is_said_at_or_below_the_floor() -> None:
    bench = Bench()
    again = Bench(0, Restored(bench.zero, bench.zero, floor=7))
    again.hold(1)
    block = again.block(5)
    again.hear(again.certificate(Kind.NOTARIZE, 5, block))
    again.pass_ms(1_000)
    assert again.said() == ["nullify 8"]


def test_a_restored_tip_is_built_upon() -> None:
    bench, block = notarized()
    finalization = bench.certificate(Kind.FINALIZE, 1, block)
    again = Bench(2, Restored(block, block, Proven(block, finalization, ()), floor=1))
    again.step(events.HeadsAdvanced(START_MS, {0: [(2, again.head(2).chain_digest, 10)]}))
    assert again.said() == ["propose 2", "notarize 2"]


# --- a committee of one, and idle chains ---


def test_a_committee_of_one_orders_by_itself() -> None:
    bench = Bench(members=1)
    bench.hold(3)
    assert [final.block.header.heads for final in bench.actions if isinstance(final, events.Finalize)] == [
        (bench.head(3),)
    ]
    assert bench.said() == ["propose 1", "notarize 1", "finalize 1"]


def test_a_committee_of_one_takes_many_blocks_in_one_breath() -> None:
    bench = Bench(members=1, limits=replace(Bench().genesis.limits, records_max=2))
    bench.hold(5)
    assert len(bench.did(events.Finalize)) == 3


def test_an_idle_chain_whose_heads_moved_makes_one_checkpoint_block() -> None:
    bench = Bench(members=1)
    bench.hold(1)
    bench.hold(1)
    bench.did(events.Finalize)
    bench.pass_ms(59_999)
    assert bench.did(events.Finalize) == []
    bench.pass_ms(1_000_000)
    (checkpoint,) = bench.did(events.Finalize)
    assert checkpoint.checkpoint == checkpoint.block.header_bytes


# --- evidence ---


def test_two_votes_of_one_kind_for_different_blocks_are_evidence_once() -> None:
    bench, block = with_block()
    twin = bench.block(1, time_ms=START_MS + 1)
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (3,)), *bench.votes(Kind.NOTARIZE, 1, twin, (3,)))
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, twin, (3,)))
    (evidence,) = bench.did(events.Evidence)
    assert evidence.validator == 3


def test_finalize_and_nullify_of_one_view_are_evidence() -> None:
    bench, block = with_block()
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (3,)), *bench.votes(Kind.NULLIFY, 1, None, (3,)))
    (evidence,) = bench.did(events.Evidence)
    assert {evidence.first.kind, evidence.second.kind} == {Kind.FINALIZE, Kind.NULLIFY}


def test_notarize_and_nullify_of_one_view_are_no_evidence() -> None:
    bench, block = with_block()
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (3,)), *bench.votes(Kind.NULLIFY, 1, None, (3,)))
    assert bench.did(events.Evidence) == []


# --- bad input ---


def test_garbage_forgeries_and_far_views_are_counted_and_change_nothing() -> None:
    bench = Bench()
    vote = bench.votes(Kind.NULLIFY, 1, None, (3,))[0]
    far = bench.votes(Kind.NULLIFY, 10**6, None, (3,))[0]
    bench.hear(b"garbage", replace(vote, signature=bytes(64)), far, vote, vote)
    counts = {refusal.name: count for refusal, count in bench.core.state.refusals.items()}
    assert counts == {"MALFORMED": 1, "FORGED": 1, "AHEAD": 1, "KNOWN": 1}
    assert len(bench.core.state.views) == 1


def test_bad_records_of_blocks_change_nothing() -> None:
    bench, block = notarized()
    finalization = bench.certificate(Kind.FINALIZE, 1, block, (1, 2))
    proof = BlockReader(bench.genesis).prove(finalization, ())
    bench.step(events.BlockRead(START_MS, encode_block(block.header_bytes, proof)))
    bench.step(events.BlockRead(START_MS, b"garbage"))
    bench.step(events.BlockRead(START_MS, None))
    assert bench.did(events.Finalize) == []


def test_two_final_blocks_at_one_height_stop_us() -> None:
    bench, block = notarized()
    bench.hear(bench.certificate(Kind.FINALIZE, 1, block))
    assert bench.core.state.chain.delivered.digest == block.digest
    twin = bench.block(2, time_ms=START_MS + 1)
    bench.hear(replace(bench.certificate(Kind.FINALIZE, 2, twin), proposal=bench.propose(twin)))
    assert len(bench.did(events.Stop)) == 1
