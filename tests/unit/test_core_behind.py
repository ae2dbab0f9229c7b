"""Who waits in a view that others have left is told how it ended, so that an idle chain comes to rest."""

import pytest

from consensus.core import events
from consensus.core.inbox import Refusal
from consensus.wire.messages import Kind
from tests.core_bench import Bench


def in_view(view: int) -> Bench:
    """v0, which holds nothing and has been in `view` for long: all views before it are nullified."""
    bench = Bench()
    bench.hear(*(bench.certificate(Kind.NULLIFY, earlier, None) for earlier in range(1, view)))
    bench.pass_ms(5_000)
    bench.did(events.Send)
    return bench


def test_a_vote_said_again_in_a_view_that_is_over_is_answered_with_what_ended_it() -> None:
    bench = in_view(3)
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (3,)) * 2)
    (answer,) = bench.did(events.Send)
    assert (answer.message.kind, answer.message.view) == (Kind.NULLIFY, 2)


def test_a_notarization_is_the_answer_where_it_ended_the_view() -> None:
    bench = Bench()
    bench.hear(bench.certificate(Kind.FINALIZE, 1, bench.block(1)))
    block = bench.block(1)
    bench.hear(bench.propose(block, 2), bench.certificate(Kind.NOTARIZE, 2, block))
    bench.pass_ms(5_000)
    bench.did(events.Send)
    bench.hear(*bench.votes(Kind.NULLIFY, 2, None, (3,)) * 2)
    (answer,) = bench.did(events.Send)
    assert (answer.message.kind, answer.message.view) == (Kind.NOTARIZE, 2)


def test_the_answer_brings_the_one_behind_into_the_view_and_both_are_silent() -> None:
    ahead, behind = in_view(3), Bench(3)
    behind.hear(*behind.votes(Kind.NULLIFY, 1, None, (1, 2)))
    behind.pass_ms(1_000)
    assert behind.said() == ["nullify 1"]
    behind.actions = []
    assert behind.core.state.view == 2
    behind.hear(*behind.votes(Kind.NULLIFY, 2, None, (1,)))
    behind.pass_ms(3_000)
    assert behind.core.state.timers.pending_since_ms is None
    ahead.hear(*ahead.votes(Kind.NULLIFY, 1, None, (3,)) * 2)
    behind.hear(*(send.message for send in ahead.did(events.Send)))
    assert behind.core.state.view == 3
    behind.did(events.Send)
    for bench in (ahead, behind):
        bench.pass_ms(10**6)
        assert bench.actions == []


def test_repeated_votes_are_answered_now_and_then() -> None:
    bench = in_view(3)
    late = bench.votes(Kind.NULLIFY, 1, None, (3,))
    bench.hear(*late * 5)
    assert len(bench.did(events.Send)) == 1
    bench.pass_ms(999)
    bench.hear(*late)
    assert bench.did(events.Send) == []
    bench.pass_ms(1)
    bench.hear(*late)
    assert len(bench.did(events.Send)) == 1


def test_a_view_that_was_just_entered_is_not_explained() -> None:
    bench = in_view(3)
    bench.hear(bench.certificate(Kind.NULLIFY, 3, None), *bench.votes(Kind.NULLIFY, 1, None, (3,)) * 2)
    assert bench.did(events.Send) == []


@pytest.mark.parametrize("voter", [0, 3])
def test_who_was_seen_in_our_view_and_we_ourselves_get_no_answer(voter: int) -> None:
    bench = in_view(3)
    bench.hear(*bench.votes(Kind.NULLIFY, 3, None, (3,)))
    bench.core.state.views.at(1).own.add(*bench.votes(Kind.NULLIFY, 1, None, (0,)))
    bench.hear(*bench.votes(Kind.NULLIFY, 1, None, (voter,)) * 2)
    assert bench.did(events.Send) == []
    assert bench.core.state.refusals == {Refusal.KNOWN: 1}


def test_a_certificate_said_again_is_not_answered() -> None:
    bench = in_view(3)
    bench.hear(*[bench.certificate(Kind.NULLIFY, 1, None)] * 2)
    assert bench.did(events.Send) == []
