"""Attacks with restarts: what only memory holds must be on the topics, and must be read from there again."""

from consensus.core.topic_positions import HELD_MAX, TopicPositions
from consensus.wire.messages import Kind
from consensus.wire.topics import consensus_topics
from ledger.committee import Committees
from tests.committee import Committee


def notarized_once() -> Committee:
    """v3's vote made a notarization of view 1 possible, to which v2 came too late; v2 lacks records, and v3 is gone."""
    committee = Committee()
    late = committee.members[2]
    for member in committee.members[:2] + committee.members[3:]:
        member.reads_records = False
    committee.produce()
    committee.pass_ms(500)
    late.reads_records, late.deaf_to, position = False, {0, 1, 3}, dict(late.read)
    for member in committee.members[:2] + committee.members[3:]:
        member.reads_records = True
    committee.lost = {Kind.FINALIZE}
    committee.produce(partition=1)
    committee.pass_ms(600)
    committee.crash(3)
    committee.topics[
        consensus_topics(committee.genesis, Committees.of(committee.genesis).current)[3]
    ].pop()  # it kept its finalize vote to itself
    committee.lost = set()
    late.deaf_to, late.read = set(), position
    committee.pass_ms(100)
    return committee


def test_a_vote_that_nobody_repeats_is_read_again_after_a_restart_of_all() -> None:
    """Who no longer knows of the notarization can neither build on view 1 nor pass it by."""
    committee = notarized_once()
    story = committee.story()
    assert "v0 finalizes A in view 1" in story
    assert "v2 nullifies view 1" in story
    assert committee.views()[:3] == [2, 2, 2]
    noted = [committee.read_as_noted(index) for index in range(3)]
    while any(committee.read_as_noted(index) == noted[index] for index in range(3)):
        committee.pass_ms(100)
    committee.members[2].reads_records = True
    for index in range(3):
        committee.crash(index)
    for index in range(3):
        committee.start(index)
    committee.pass_ms(300_000)
    assert committee.heights()[:3] == [1, 1, 1]


def test_positions_stay_at_the_first_message_above_the_floor() -> None:
    positions = TopicPositions({"a": 3, "b": 0})
    for offset, view in enumerate((None, 7, None, 5, 8), 3):
        positions.on_record("a", offset, view)
    positions.on_record("b", 0, None)
    assert [positions.positions(floor)["a"] for floor in (6, 7, 8)] == [4, 7, 8]
    assert positions.positions(0)["b"] == 1


def test_a_flood_above_the_floor_is_remembered_as_one() -> None:
    positions = TopicPositions({"a": 0})
    for offset in range(10 * HELD_MAX):
        positions.on_record("a", offset, offset + 1)
    assert positions.positions(HELD_MAX - 1)["a"] == HELD_MAX - 1
    assert positions.positions(10 * HELD_MAX - 1)["a"] == HELD_MAX - 1
    assert positions.positions(10 * HELD_MAX)["a"] == 10 * HELD_MAX


def test_a_topic_that_begins_anew_is_read_from_its_beginning() -> None:
    positions = TopicPositions({"a": 0})
    positions.on_record("a", 7, 9)
    positions.restart("a", 2)
    assert positions.positions(0) == {"a": 2}
