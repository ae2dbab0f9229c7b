"""What is voted for, and what against: rules R4 and R5 of `consensus.core.core`."""

from dataclasses import replace
from typing import Any

import pytest

from consensus.core import events
from consensus.core.inbox import Refusal
from consensus.wire.messages import Block, Kind
from ledger.header import Head, Opening
from tests.core_bench import START_MS, Bench, notarized, with_block

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


def test_a_proposal_of_an_epoch_without_a_committee_is_nothing() -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1, epoch=1)))
    assert bench.said() == []
    assert bench.core.state.refusals == {Refusal.MALFORMED: 1}


def contradict(bench: Bench, view: int = 1, end_offset: int = 2, parent: Block | None = None) -> None:
    """A proposal whose head nobody's log here makes."""
    heads = (Head(0, 0, end_offset, bytes(32)),)
    bench.hear(bench.propose(bench.block(view, parent, heads=heads)))


def look(bench: Bench, diverged_at: int | None = None) -> None:
    """Our own broker was looked at."""
    bench.step(events.LogShown(bench.now_ms, 0, 0, None, diverged_at))


def test_a_contradicted_proposal_has_the_log_looked_at_and_is_nullified_if_that_shows_the_same() -> None:
    bench = Bench()
    bench.hold(3)
    contradict(bench)
    assert [action for action in bench.actions if isinstance(action, events.Probe)] == [events.Probe(0, 2)]
    assert bench.said() == [], "the log may show what the leader saw"
    look(bench)
    assert bench.said() == ["nullify 1"]
    assert bench.core.state.heads.records() == 3, "nothing was dropped"


def test_what_the_log_does_not_show_any_more_is_read_again_for_a_proposal_that_contradicts_it() -> None:
    bench = Bench()
    bench.hold(3)
    contradict(bench)
    bench.actions.clear()
    look(bench, diverged_at=1)
    assert bench.did(events.Reread) == [events.Reread(0, 0, 1, 0, None, None)]
    assert bench.said() == []
    entries = [(1, bench.head(1).chain_digest, 10), (2, bytes(32), 10)]
    bench.step(events.HeadsAdvanced(bench.now_ms, {0: entries}))
    assert bench.said() == ["notarize 1"]


def test_it_is_nullified_if_what_was_read_again_contradicts_it_still() -> None:
    bench = Bench()
    bench.hold(3)
    contradict(bench)
    look(bench, diverged_at=1)
    bench.step(events.HeadsAdvanced(bench.now_ms, {0: [(2, bench.head(2).chain_digest, 10)]}))
    assert bench.said() == ["nullify 1"]


def test_records_of_a_notarized_block_stay_when_the_log_is_read_again() -> None:
    bench, block = notarized(records=2)
    bench.hold(2)
    contradict(bench, 2, 3, block)
    bench.did(events.Reread)
    look(bench, diverged_at=0)
    assert bench.did(events.Reread) == [events.Reread(0, 0, 1, 1, None, None)]
    assert bench.core.state.heads.records() == 0, "all above the last delivered head is reported again"


def test_a_leader_that_lies_in_all_its_views_has_the_log_looked_at_ever_more_rarely_and_nothing_dropped() -> None:
    """Views last two seconds; v1 leads every fourth, for ten minutes."""
    bench = Bench()
    bench.hold(3)
    looks = 0
    for view in range(1, 300):
        bench.pass_ms(2_000)
        if bench.core.state.leader(view) == 1:
            bench.actions.clear()
            contradict(bench, view)
            probes = bench.did(events.Probe)
            looks += len(probes)
            if probes:
                look(bench)
        assert not bench.did(events.Reread)
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
    assert 6 <= looks <= 15, "75 of its views"
    assert bench.core.state.heads.records() == 3


def test_who_was_right_is_not_made_to_wait_by_what_another_said_in_vain() -> None:
    bench = Bench()
    bench.hold(3)
    for view in range(1, 6):
        if bench.core.state.leader(view) == 1:
            contradict(bench, view)
            look(bench)
        bench.hear(bench.certificate(Kind.NULLIFY, view, None))
        bench.pass_ms(bench.settings.reread_ms)
    bench.actions.clear()
    contradict(bench, 6)
    assert bench.core.state.leader(6) != 1
    assert bench.did(events.Probe) == [events.Probe(0, 2)]


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
