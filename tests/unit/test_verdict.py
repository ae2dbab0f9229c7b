"""What is wrong with a node: one table of what is known and what is said of it, by fake clocks."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from node.home import status
from node.home.known_peers import EXPIRED, FRESH, Peer, State
from node.home.pulse import Part, Pulse
from node.home.status import Status
from node.process.room import BYTES_MIN, FILES_MIN, Room
from node.supervision.verdict import (
    CODES,
    DOWN_MS,
    PHRASES,
    STALLED_MS,
    WORDS,
    Facts,
    Finding,
    decide,
    kind_of,
    silent_validators,
    waiting_records,
)
from tests.builders import committee

NOW = 1_000_000_000
PID = 1  # it lives wherever tests run
REFUSED = "connection to server at 10.0.0.7, port 5432 failed: Connection refused"


def process(name: str, state: str = status.RUNNING, detail: str = "", since_ms: int = 0) -> Status:
    return Status(name, PID, state, since_ms, detail)


def pulse(at_ms: int = NOW, silent: tuple[str, ...] = (), problems: tuple[str, ...] = (), **parts: Part) -> Pulse:
    return Pulse(at_ms, PID, parts, problems, silent)


WELL = Facts(
    now_ms=NOW,
    wall_ms=NOW,
    needed={name: process(name) for name in ("supervisor", "order", "execute")},
    pulses={
        "order": pulse(log=Part(NOW), log_read=Part(NOW), log_write=Part(NOW), consensus=Part(NOW)),
        "execute": pulse(database=Part(NOW), execution=Part(NOW)),
    },
    final_height=7,
    executed_height=7,
    drift_ms=5_000,
)


def with_part(of: str, name: str, part: Part, at_ms: int = NOW, **more: Any) -> Facts:
    """A node that is well but for one part of a process."""
    pulses = dict(WELL.pulses)
    pulses[of] = replace(pulses[of], at_ms=at_ms, parts={**pulses[of].parts, name: part}, **more)
    return replace(WELL, pulses=pulses)


def said(facts: Facts, is_public: bool = False) -> list[str]:
    return [finding.text(is_public) for finding in decide(facts)]


def test_a_node_of_which_all_is_well_is_well() -> None:
    assert decide(WELL) == []


@pytest.mark.parametrize("name", WORDS)
def test_each_part_is_told_once_it_has_failed_for_its_time_and_no_longer_once_it_is_well(name: str) -> None:
    of = "execute" if name in ("database", "execution") else "order"
    after_ms = WORDS[name].after_ms
    assert after_ms == (STALLED_MS if name in ("consensus", "execution") else DOWN_MS)
    assert said(with_part(of, name, Part(NOW - after_ms + 1, REFUSED, waiting=3))) == []
    found = decide(with_part(of, name, Part(NOW - after_ms, REFUSED, waiting=3)))
    assert [finding.code for finding in found] == [WORDS[name].code]
    assert f"{after_ms // 1000} s" in found[0].sentence
    assert found[0].text().endswith(f": {REFUSED}.")
    assert found[0].text(is_public=True).endswith(": connection refused."), "its kind, and no address"
    assert "10.0.0.7" not in found[0].text(is_public=True)


def test_what_a_stall_leaves_waiting_is_told_with_who_is_not_heard() -> None:
    part = Part(NOW - 113_000, waiting=1_234)
    assert said(with_part("order", "consensus", part, silent=("v2", "v3"))) == [
        "No block has become final for 113 s, and 1,234 records wait; not heard: v2, v3."
    ]
    assert waiting_records(with_part("order", "consensus", part)) == 1_234
    assert waiting_records(replace(WELL, pulses={})) is None


def test_a_part_that_another_explains_is_not_told_as_well() -> None:
    away = Part(NOW - 60_000, "Kafka does not answer")
    facts = with_part("order", "log", away)
    order = facts.pulses["order"]
    explained = replace(order, parts={**order.parts, "log_write": away, "log_read": away})
    assert [finding.code for finding in decide(replace(facts, pulses={**facts.pulses, "order": explained}))] == ["log"]


def test_what_several_processes_miss_is_told_once_for_as_long_as_the_first_of_them_does() -> None:
    facts = with_part("execute", "database", Part(NOW - 9_000))
    api = pulse(database=Part(NOW - 7_000, REFUSED))
    assert said(replace(facts, pulses={**facts.pulses, "api": api})) == [
        f"The database has not answered for 9 s: {REFUSED}."
    ]


@pytest.mark.parametrize("age_ms", [DOWN_MS - 1, DOWN_MS, 600_000])
def test_a_process_that_runs_and_says_nothing_is_told_and_its_dependencies_are_not_taken_for_dead(age_ms: int) -> None:
    at = NOW - age_ms
    facts = with_part("order", "log", Part(at), at_ms=at)
    assert [finding.code for finding in decide(facts)] == (["silent"] if age_ms >= DOWN_MS else [])


def test_what_a_setting_is_wrong_about_stays_the_same_while_its_counts_grow() -> None:
    """Else the log would say it anew at each look."""

    def key(problem: str) -> tuple[str, str]:
        (found,) = decide(replace(WELL, pulses={**WELL.pulses, "order": pulse(problems=(problem,))}))
        return found.key

    one, grown, other = (
        key(f"The topic {topic} has 8 partitions, not 4: what lies in the others, {count} records, never executes.")
        for topic, count in (("t", "9"), ("t", "1,024"), ("u", "9"))
    )
    assert one == grown != other


@pytest.mark.parametrize("runs_ms", [0, DOWN_MS - 1, DOWN_MS, 600_000])
@pytest.mark.parametrize("is_first", [True, False])
def test_who_runs_and_has_said_nothing_yet_is_silent_from_when_it_began(is_first: bool, runs_ms: int) -> None:
    """Not from when an earlier process of that name spoke last."""
    stale = replace(WELL.pulses["order"], at_ms=NOW - 3_600_000, pid=PID + 1)
    pulses = {name: pulse for name, pulse in WELL.pulses.items() if name != "order"}
    needed = {**WELL.needed, "order": process("order", since_ms=NOW - runs_ms)}
    facts = replace(WELL, needed=needed, pulses=pulses if is_first else {**pulses, "order": stale})
    assert [finding.code for finding in decide(facts)] == (["silent"] if runs_ms >= DOWN_MS else [])


def test_what_stood_still_before_a_process_died_is_told_after_it_has_started_again() -> None:
    """Else a process that dies again and again of what it depends on would look well in between."""
    facts = with_part("execute", "execution", Part(NOW - 30_000, waiting=4), at_ms=NOW - 2_000, pid=PID + 1)
    again = {**facts.needed, "execute": process("execute", since_ms=NOW - 1_000)}
    assert [finding.code for finding in decide(replace(facts, needed=again))] == ["execution"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"needed": {**WELL.needed, "order": None}}, "starting"),
        ({"needed": {**WELL.needed, "order": process("order", status.STARTING)}}, "starting"),
        ({"needed": {**WELL.needed, "order": process("order", status.STARTING, "no database")}}, "process"),
        ({"needed": {**WELL.needed, "order": process("order", status.CRASHED)}}, "process"),
        ({"paused": ["execute"]}, "paused"),
        ({"wanted": {"effects": process("effects", status.STARTING, "the log does not answer")}}, "process"),
        ({"wanted": {"api": process("api", status.CRASHED)}}, "process"),
        ({"rooms": [Room("the home", BYTES_MIN), Room("the store", BYTES_MIN - 1)]}, "disk"),
        ({"rooms": [Room("the home", BYTES_MIN, FILES_MIN - 1), Room("the store", BYTES_MIN, FILES_MIN)]}, "disk"),
        ({"rooms": [Room("the home", BYTES_MIN, is_read_only=True)]}, "disk"),
        ({"executed_height": 7, "final_height": 108}, "behind"),
        ({"clock_doubted_ms": 60_000}, "clock"),
        ({"final_time_ms": NOW + 60_000}, "clock"),
        (
            {"pulses": {**WELL.pulses, "order": pulse(problems=("The topic t has 8 partitions, not 4.",))}},
            "log_settings",
        ),
    ],
)
def test_what_else_is_wrong_is_told(changes: Mapping[str, Any], code: str) -> None:
    found = decide(replace(WELL, **changes))
    assert [finding.code for finding in found] == [code]
    assert code in CODES


@pytest.mark.parametrize(
    "wanted",
    [
        {"effects": process("effects", status.STARTING, "just started", since_ms=NOW - DOWN_MS + 1)},
        {"effects": process("effects", status.STARTING)},
        {"drills": process("drills", status.STOPPED)},
        {"api": None},
    ],
)
def test_a_process_beside_the_node_that_is_being_started_or_stopped_is_no_reason(wanted: Mapping[str, Status]) -> None:
    assert decide(replace(WELL, wanted=wanted)) == []


def test_without_a_quorum_that_is_heard_the_silent_are_named_in_one_place() -> None:
    four = committee(1, 1, 1, 1)
    states: tuple[State, ...] = (FRESH, FRESH, EXPIRED, EXPIRED)
    rows = [
        Peer(member.name, "", index == 0, state, height=7)
        for index, (member, state) in enumerate(zip(four.members, states, strict=True))
    ]
    facts = replace(WELL, committee=four, peers=rows)
    assert [finding.code for finding in decide(facts)] == ["no_quorum"]
    assert silent_validators(facts) == {four.names[2], four.names[3]}
    stalled = with_part("order", "consensus", Part(NOW, waiting=1), silent=(four.names[1],))
    assert silent_validators(replace(stalled, committee=four, peers=rows)) == set(four.names[1:])


def test_every_code_can_be_said_and_every_part_has_one() -> None:
    assert {words.code for words in WORDS.values()} <= set(CODES)
    assert all(words.unless in ("", *WORDS) for words in WORDS.values())


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ("Kafka at broker-7:9092 does not answer: broker-7:9092/1: Connection refused.", "connection refused"),
        ('FATAL:  password authentication failed for user "momus"', "password authentication failed"),
        ("canceling statement due to statement timeout", "statement timeout"),
        ("/srv/momus/store/0: No space left on device", "no space left on device"),
        ("something that nobody has foreseen at 10.0.0.7", ""),
    ],
)  # fmt: skip
def test_of_an_error_everybody_is_told_its_kind_and_nothing_that_names_a_place(error: str, kind: str) -> None:
    assert kind_of(error) == kind
    assert Finding("log", "It is away", error).text(is_public=True) == f"It is away{': ' + kind if kind else ''}."
    assert all(phrase == phrase.lower() for phrase in PHRASES)
