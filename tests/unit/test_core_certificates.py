"""What certificates do, what is said again and what never: rules R6 to R10 of `consensus.core.core`."""

from dataclasses import replace

import pytest

from consensus.core import events
from consensus.core.state import Restored
from consensus.wire.final_blocks import BlockReader, Proven, encode_block
from consensus.wire.messages import Certificate, Kind, Message, Vote
from ledger.block import FinalBlock
from ledger.committee import Committees
from tests.core_bench import START_MS, Bench, notarized, restarted, with_block

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
    verified = BlockReader(bench.genesis, Committees.of(bench.genesis)).verify(
        encode_block(final.block.header_bytes, final.block.proof)
    )
    assert isinstance(verified, FinalBlock)
    assert verified.digest == block.digest


def test_a_finalization_delivers_ancestors_first() -> None:
    bench, block = notarized(records=2)
    child = bench.block(2, block, records=2)
    bench.hear(bench.propose(child), bench.certificate(Kind.FINALIZE, 2, child))
    finals = bench.did(events.Finalize)
    assert [final.block.digest for final in finals] == [block.digest, child.digest]
    assert all(
        isinstance(
            BlockReader(bench.genesis, Committees.of(bench.genesis)).verify(
                encode_block(f.block.header_bytes, f.block.proof)
            ),
            FinalBlock,
        )
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


@pytest.mark.parametrize("is_bare_first", [True, False])
def test_a_notarization_that_came_bare_is_said_again_with_the_proposal_that_we_hold(is_bare_first: bool) -> None:
    """The log may have lost the proposal since, and its leader be gone: then nobody else says it again."""
    bench, other = Bench(), Bench(index=1)
    block = bench.block(1)
    words: list[Message] = [bench.certificate(Kind.NOTARIZE, 1, block), bench.propose(block)]
    bench.hold(1)
    bench.hear(*(words if is_bare_first else words[::-1]))
    bench.did(events.Send)
    bench.pass_ms(1_000)
    again = [send.message for send in bench.did(events.Send)]
    (notarization,) = [word for word in again if isinstance(word, Certificate) and word.kind is Kind.NOTARIZE]
    assert notarization.proposal == words[1]
    other.hear(words[0])
    assert other.core.state.chain.get(block.digest) is None
    other.hear(notarization)
    assert other.core.state.chain.get(block.digest) == block


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


# --- R13: what was acted on is kept ---


def kept(bench: Bench) -> list[str]:
    """Statements and kept certificates, in order; and forgets all actions."""
    actions, bench.actions = bench.actions, []
    told: list[str] = []
    for action in actions:
        if isinstance(action, events.Keep):
            told.append(f"keep {action.certificate.kind.name.lower()} {action.certificate.view}")
        elif isinstance(action, events.Sign) and isinstance(action.statement, Vote):
            told.append(f"{action.statement.kind.name.lower()} {action.statement.view}")
    return told


def test_every_certificate_is_kept_once_and_before_what_rests_on_it() -> None:
    bench, block = with_block()
    notarization = bench.certificate(Kind.NOTARIZE, 1, block)
    bench.hear(*bench.votes(Kind.NOTARIZE, 1, block, (1, 2)), notarization)
    assert kept(bench) == ["keep notarize 1", "finalize 1"]
    bench.hear(*[bench.certificate(Kind.NULLIFY, 2, None)] * 2, *bench.votes(Kind.NULLIFY, 2, None, (1, 2, 3)))
    assert kept(bench) == ["keep nullify 2"]
    bench.hear(*bench.votes(Kind.FINALIZE, 1, block, (1, 2)), bench.certificate(Kind.FINALIZE, 1, block))
    assert kept(bench) == ["keep finalize 1"]


def test_a_vote_carries_the_proposal_of_its_leader_and_a_notarization_is_kept_with_it() -> None:
    bench = Bench()
    bench.hold(1)
    proposal = bench.propose(bench.block(1))
    bench.hear(proposal)
    (sign,) = bench.did(events.Sign)
    assert sign.voted == proposal
    bench.hear(bench.certificate(Kind.NOTARIZE, 1, proposal.block))
    (keep,) = bench.did(events.Keep)
    assert keep.certificate.proposal == proposal


def test_what_was_kept_comes_back_and_is_said_again_and_kept_no_second_time() -> None:
    bench = Bench()
    bench.hold(1)
    proposal = bench.propose(bench.block(1))
    restored = Restored(
        bench.zero,
        bench.zero,
        own=tuple(bench.votes(Kind.NOTARIZE, 1, proposal.block, (0,))),
        voted=(proposal,),
        certificates=(bench.certificate(Kind.NOTARIZE, 1, proposal.block), bench.certificate(Kind.NULLIFY, 2, None)),
    )
    again = Bench(0, restored)
    assert again.core.state.view == 3
    assert again.did(events.Keep) == []
    again.pass_ms(1_000)
    said = [send.message for send in again.did(events.Send)]
    assert {(word.kind, word.view) for word in said} >= {(Kind.NOTARIZE, 1), (Kind.NULLIFY, 2)}
    assert [word.proposal for word in said if isinstance(word, Certificate) and word.view == 1] == [proposal]


def test_a_finalization_whose_block_is_not_delivered_comes_back_as_the_floor() -> None:
    bench = Bench()
    first, second = bench.propose(bench.block(1)), bench.propose(bench.block(2, bench.block(1), records=2))
    finalization = bench.certificate(Kind.FINALIZE, 2, second.block)
    again = Bench(0, Restored(bench.zero, bench.zero, voted=(first, second), finalization=finalization))
    assert (again.core.state.view, again.core.state.floor) == (3, 2)
    again.hold(2)
    assert [final.block.header.height for final in again.did(events.Finalize)] == [1, 2]


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
    proof = BlockReader(bench.genesis, Committees.of(bench.genesis)).prove(finalization, ())
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
