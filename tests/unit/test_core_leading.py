"""A leader on a core that hears what we let it hear: rules R1 to R3 of `consensus.core.core`, and idle chains."""

from dataclasses import replace

from consensus.core import events
from consensus.wire.messages import Kind, Proposal
from tests.core_bench import Bench, notarized

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
    pace = bench.core.state.timers
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
