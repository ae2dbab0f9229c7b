"""R11: a validator whose own records cannot follow what others agree on asks for them, and keeps what it voted for."""

from dataclasses import replace

from consensus.core import events
from consensus.wire.messages import Block, Kind
from ledger.header import Head
from tests.core_bench import Bench


def other(records: int) -> Head:
    """A head that nobody's log here makes."""
    return Head(0, 0, records, bytes([records] * 32))


def asked(bench: Bench) -> list[object]:
    return [action for action in bench.actions if isinstance(action, events.Reread | events.Fetch)]


def certify(bench: Bench, kind: Kind, block: Block) -> None:
    """A quorum's word for a block that was not proposed to us."""
    certificate = bench.certificate(kind, block.header.view, block)
    bench.hear(replace(certificate, proposal=bench.propose(block)))


def test_a_final_block_that_contradicts_our_records_is_fetched_from_whoever_holds_it() -> None:
    bench = Bench()
    bench.hold(2)
    certify(bench, Kind.FINALIZE, bench.block(1, heads=(other(2),)))
    assert asked(bench) == [events.Reread(0, 0, 0, 0, bench.head(0), other(2))]
    assert bench.core.state.heads.records() == 0


def test_a_notarized_block_that_contradicts_our_records_is_fetched_and_what_we_voted_for_set_aside() -> None:
    bench = Bench()
    bench.hold(2)
    bench.hear(bench.propose(bench.block(1, records=2)))
    assert bench.said() == ["notarize 1"]
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    certify(bench, Kind.NOTARIZE, bench.block(2, heads=(other(1),)))
    assert asked(bench)[-1] == events.Reread(0, 0, 0, 2, bench.head(0), other(1))


def test_records_that_only_fail_to_come_are_asked_for_after_a_while_and_nothing_is_dropped() -> None:
    bench = Bench()
    bench.hold(1)
    certify(bench, Kind.FINALIZE, bench.block(1, records=3))
    assert asked(bench) == []
    bench.pass_ms(bench.settings.fetch_ms)
    assert asked(bench) == [events.Fetch(bench.head(0), bench.head(3))]
    assert bench.core.state.heads.records() == 1
    bench.pass_ms(bench.settings.reread_ms)
    assert len(asked(bench)) == 2, "again, since nobody answered"
    bench.hold(2)
    assert [action.block.header.height for action in bench.did(events.Finalize)] == [1]
    bench.pass_ms(60_000)
    assert asked(bench) == []


def test_records_of_one_partition_are_asked_for_rarely() -> None:
    bench = Bench()
    bench.hold(1)
    certify(bench, Kind.FINALIZE, bench.block(1, heads=(other(1),)))
    for _ in range(10):
        bench.pass_ms(bench.settings.reread_ms // 10 - 1)
    assert len(asked(bench)) == 1
    bench.hold(1)
    bench.pass_ms(bench.settings.reread_ms)
    assert len(asked(bench)) == 2


def test_a_proposal_that_contradicts_our_records_is_no_reason_to_fetch_it() -> None:
    bench = Bench()
    bench.hold(1)
    bench.hear(bench.propose(bench.block(1, heads=(other(1),))))
    assert asked(bench) == []
    assert bench.did(events.Probe) == [events.Probe(0, 1)]


def test_each_partition_is_read_again_when_its_own_time_has_come_though_nothing_else_happens() -> None:
    bench = Bench(partitions=2)
    heads = (other(1), replace(other(1), partition=1))
    bench.hold(1)
    certify(bench, Kind.FINALIZE, bench.block(1, heads=heads))
    bench.step(events.HeadsAdvanced(bench.now_ms, {0: [(1, heads[0].chain_digest, 10)]}))
    bench.pass_ms(bench.settings.fetch_ms)
    assert [action.__class__ for action in asked(bench)] == [events.Reread, events.Fetch]
    bench.step(events.HeadsAdvanced(bench.now_ms, {1: [(1, bench.head(1).chain_digest, 10)]}))
    bench.pass_ms(bench.settings.reread_ms - 1)
    assert len(asked(bench)) == 2
    bench.pass_ms(1)
    assert [action.partition for action in bench.did(events.Reread)] == [0, 1]


def diverge(bench: Bench, at: int) -> list[object]:
    bench.step(events.LogShown(bench.now_ms, 0, 0, None, at))
    return asked(bench)


def test_what_the_log_no_longer_shows_above_the_final_head_is_read_again() -> None:
    bench = Bench()
    bench.hold(3)
    assert diverge(bench, 2) == [events.Reread(0, 0, 2, 0, None, None)]
    assert bench.core.state.heads.records() == 0, "all is reported again"


def test_what_a_notarized_block_rests_on_stays_though_the_log_no_longer_shows_it() -> None:
    bench = Bench()
    bench.hold(3)
    certify(bench, Kind.NOTARIZE, bench.block(1, records=3))
    assert diverge(bench, 1) == []
    assert bench.core.state.heads.records() == 3


def test_what_lies_above_it_goes_since_nobody_else_can_come_to_hold_it() -> None:
    bench = Bench()
    bench.hold(3)
    certify(bench, Kind.NOTARIZE, bench.block(1, records=2))
    assert diverge(bench, 1) == [events.Reread(0, 0, 2, 0, None, None)]


def test_a_leader_whose_view_was_nullified_looks_whether_the_log_still_shows_what_it_holds() -> None:
    bench = Bench(1)
    bench.hold(2)
    bench.actions.clear()
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None, (0, 2, 3)))
    assert bench.did(events.Probe) == [events.Probe(0)]
    bench.hear(bench.certificate(Kind.NULLIFY, 5, None, (0, 2, 3)))
    assert bench.did(events.Probe) == [], "now and then"
    bench.pass_ms(bench.settings.reread_ms)
    bench.actions.clear()
    bench.hear(bench.certificate(Kind.NULLIFY, 9, None, (0, 2, 3)))
    assert bench.did(events.Probe) == [events.Probe(0)]


def test_the_view_of_another_is_no_reason_to_look() -> None:
    bench = Bench(0)
    bench.hold(2)
    bench.hear(bench.certificate(Kind.NULLIFY, 1, None))
    assert bench.did(events.Probe) == []


def test_being_late_is_not_being_contradicted_however_long_records_fail_to_come() -> None:
    """Nobody answers, or others' records are the same as ours: nothing is dropped, and nothing told again."""
    bench = Bench()
    bench.hold(2)
    certify(bench, Kind.FINALIZE, bench.block(1, records=5))
    for _ in range(20):
        bench.pass_ms(bench.settings.reread_ms)
    assert set(map(type, asked(bench))) == {events.Fetch}
    assert len(asked(bench)) >= 10
    assert bench.core.state.heads.records() == 2


def test_what_others_hold_takes_the_place_of_ours_once_it_was_seen_to_differ() -> None:
    bench = Bench()
    bench.hold(2)
    certify(bench, Kind.FINALIZE, bench.block(1, heads=(other(5),)))
    bench.pass_ms(bench.settings.fetch_ms)
    assert asked(bench) == [events.Fetch(bench.head(0), other(5))]
    bench.step(events.RecordsDiffer(bench.now_ms, 0, 0))
    bench.pass_ms(bench.settings.reread_ms)
    assert asked(bench)[1:] == [events.Reread(0, 0, 0, 0, bench.head(0), other(5))]
