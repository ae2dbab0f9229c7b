"""All topics of consensus are gone, all restart, and as many as may be Byzantine never come back: journals are enough.

Whatever was agreed on in part: a view that some have finalized and others have left can neither be notarized nor
nullified anew. Only who remembers the certificate can lead the others past it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from backbone.log import LogRecord
from consensus.core.timers import ConsensusSettings
from consensus.runtime.loop import TopicRestarted
from consensus.wire.messages import NO_DIGEST, Kind, Vote
from consensus.wire.topics import consensus_topics
from ledger.committee import FIRST_EPOCH, Committees
from ledger.keys import verify
from tests.committee import Committee

LONG_MS = 300_000
FAST = ConsensusSettings(timeout_ms=1_000, timeout_max_ms=4_000, idle_ms=50, resend_ms=1_000, resend_max_ms=4_000)


@pytest.fixture(autouse=True, scope="module")
def each_signature_is_verified_once() -> Iterator[None]:
    """Of four validators in one process each would verify it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.committee.verify", lru_cache(100_000)(verify))
        yield


def committee_of(members: int = 4) -> Committee:
    return Committee(members, FAST, checkpoint_heights=1_000, checkpoint_time_ms=60_000)


def lose_topics_and_restart(committee: Committee, survivors: Iterable[int]) -> None:
    """Everybody dies, the topics begin anew at offset 0, and the survivors boot from their disks."""
    for member in committee.members:
        if member.loop is not None:
            committee.crash(member.index)
        member.deaf_to, member.reads_records, member.is_paused = set(), True, False
    committee.lost = set()
    for values in committee.topics.values():
        values.clear()
    for index in survivors:
        committee.start(index)
        member = committee.members[index]
        member.waiting += [TopicRestarted(topic, 0) for topic, at in member.read.items() if topic in committee.topics]
        member.read = dict.fromkeys(member.read, 0)


def assert_goes_on(committee: Committee, survivors: Iterable[int]) -> None:
    """What was in the log and what comes is ordered by all of them, in the same blocks."""
    survivors = tuple(survivors)
    committee.produce()
    committee.pass_ms(LONG_MS)
    committee.produce()
    committee.pass_ms(LONG_MS)
    finals = [committee.members[index].store.finals for index in survivors]
    shown = [
        (len(chain), loop.core.state.heads.records())
        for chain, index in zip(finals, survivors, strict=True)
        if (loop := committee.members[index].loop) is not None
    ]
    assert [records for _, records in shown] == [0] * len(survivors), f"heights and records waiting: {shown}"
    assert len({tuple(final.header_bytes for final in chain) for chain in finals}) == 1


def finalized_by_two_and_left_by_one() -> Committee:
    """v0, v1 and v3 notarize view 1, v0 and v1 finalize it; v2 heard of none of it and has nullified it; v3 dies."""
    committee = committee_of()
    late = committee.members[2]
    late.reads_records, late.deaf_to = False, {0, 1, 3}
    committee.lost = {Kind.FINALIZE}
    committee.produce()
    late.reads_records = True
    committee.produce(partition=1)
    committee.pass_ms(1_100)
    story = committee.story()
    assert "v0 finalizes A in view 1" in story
    assert "v2 nullifies view 1" in story
    committee.crash(3)
    return committee


def test_a_view_that_some_finalized_and_others_left_is_passed_by_after_all_topics_are_lost() -> None:
    committee = finalized_by_two_and_left_by_one()
    lose_topics_and_restart(committee, (0, 1, 2))
    assert_goes_on(committee, (0, 1, 2))


@dataclass(frozen=True)
class Round:
    """Who hears what for a while; members by bit. v3 is Byzantine: it says what helps a quorum, to whom it likes."""

    deaf: tuple[int, int, int]
    """For each of v0, v1, v2: whom it does not hear."""
    blind: int
    """Who reads no records."""
    notarize: int
    nullify: int
    finalize: int
    """To whom v3 says such votes, of all views that the hearer knows of."""
    waits_ms: int
    restarts: int


ROUNDS: Final = st.builds(
    Round,
    st.tuples(*[st.integers(0, 7)] * 3),
    *[st.sampled_from((0, 0, 1, 2, 4, 3, 5, 6, 7))] * 4,
    st.sampled_from((0, 60, 1_100, 2_500)),
    st.sampled_from((0, 0, 0, 1, 2, 4)),
)


def helped(committee: Committee, kind: Kind, hearers: int) -> None:
    """v3's votes of a kind, each as the hearer can use it."""
    for member in committee.members[:3]:
        if member.loop is None or not hearers >> member.index & 1:
            continue
        state = member.loop.core.state
        for known in list(state.views):
            digest = known.proposals[0].block.digest if known.proposals else None
            if kind is Kind.NULLIFY:
                digest = NO_DIGEST if known.view <= state.view else None
            if digest is not None:
                vote = committee.signed(Vote(kind, FIRST_EPOCH, known.view, digest, 3), 3)
                value, topic = (
                    committee.wire.encode(vote),
                    consensus_topics(committee.genesis, Committees.of(committee.genesis).current)[3],
                )
                member.waiting.append(LogRecord(topic, 0, 0, None, value))
    committee.settle()


def live_through(committee: Committee, round_: Round) -> None:
    for member, deaf in zip(committee.members, round_.deaf, strict=False):
        member.deaf_to = {other for other in range(3) if deaf >> other & 1 and other != member.index}
        member.reads_records = not round_.blind >> member.index & 1
        if round_.restarts >> member.index & 1:
            committee.crash(member.index)
            committee.start(member.index)
    committee.produce()
    helped(committee, Kind.NOTARIZE, round_.notarize)
    helped(committee, Kind.FINALIZE, round_.finalize)
    committee.pass_ms(round_.waits_ms)
    helped(committee, Kind.NULLIFY, round_.nullify)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(ROUNDS, min_size=1, max_size=6))
def test_whatever_was_agreed_on_in_part_the_journals_of_three_go_on(rounds: list[Round]) -> None:
    committee = committee_of()
    committee.crash(3)
    for round_ in rounds:
        live_through(committee, round_)
    lose_topics_and_restart(committee, (0, 1, 2))
    assert_goes_on(committee, (0, 1, 2))
