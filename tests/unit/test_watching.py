"""Dependencies and work as a process watches them, by a fake clock; and pulses as files."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from node.execution.watching import ExecutionProgress
from node.home.pulse import Part, Pulse, monotonic_ms, read_pulse, write_pulse
from node.ordering.watching import GRACE_MS, OrderWatch
from node.process.repeating import repeating
from node.process.watching import SLOW_MS, Dependency, Failing, Work, asking, part_before, pulsing
from tests.patience import WAIT_S


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def __call__(self) -> int:
        return self.ms


def test_a_dependency_keeps_when_it_answered_last_and_what_it_said_since() -> None:
    clock = Clock()
    dependency = Dependency(clock)
    clock.ms += 10
    dependency.failed("no\n  answer")
    assert dependency.part() == Part(1_000_000, "no answer")
    with dependency.asked():
        clock.ms += SLOW_MS - 1
    assert dependency.part() == Part(1_000_010 + SLOW_MS - 1)
    with dependency.asked():
        clock.ms += SLOW_MS
    assert dependency.part() == Part(1_000_010 + SLOW_MS - 1, "too slow, it took 2.0 s to answer"), (
        "too late is no answer"
    )
    with pytest.raises(OSError), dependency.asked():
        raise OSError
    assert dependency.part().well_ms == 1_000_010 + SLOW_MS - 1


@pytest.mark.parametrize(
    ("steps", "well"),
    [
        ([(1, 0), (1, 0), (1, 0)], 2),
        ([(1, 5), (2, 5), (3, 5)], 2),
        ([(1, 5), (1, 5), (1, 6)], 0),
        ([(1, 0), (1, 1), (1, 1)], 0),
        ([(1, 1), (2, 1), (2, 1)], 1),
        ([(5, 1), (4, 1), (4, 1)], 1),
    ],
)
def test_work_is_well_while_it_goes_on_or_there_is_none(steps: list[tuple[int, int]], well: int) -> None:
    clock = Clock()
    work, part = Work(None, clock), Part(0)
    for index, (mark, waiting) in enumerate(steps):
        clock.ms = index
        part = work.part(mark, waiting, "why")
    assert part.well_ms == well
    assert part.error == ("why" if well < 2 else "")


def test_work_that_stood_still_in_an_earlier_process_still_does_until_it_goes_on() -> None:
    clock = Clock()
    before = Part(clock.ms - 30_000, "canceling statement", 4, mark=7)
    assert Work(before, clock).part(7, 4).well_ms == before.well_ms
    assert Work(before, clock).part(8, 4).well_ms == clock.ms
    assert Work(before, clock).part(7, 0).well_ms == clock.ms
    future = Part(clock.ms + 1, waiting=4, mark=7)
    assert Work(future, clock).part(7, 4).well_ms == clock.ms, "that was before the machine was started anew"


def test_what_fails_each_time_is_failing_and_what_failed_once_is_not_for_long() -> None:
    clock = Clock()
    failing = Failing(clock)
    assert failing.part(0, "") == Part(clock.ms)
    for count in range(1, 8):
        clock.ms += 1_000
        part = failing.part(count, "denied")
    assert part == Part(1_000_000, "denied")
    clock.ms += Failing.QUIET_MS
    assert failing.part(7, "denied") == Part(clock.ms)


class Driver:
    """Of three validators, of which this is the first."""

    def __init__(self) -> None:
        self.height, self.waiting, self.counts = 1, 0, [0, 0, 0]
        self.sending = (0, 0, "")
        self.failures = 0

    def status(self) -> dict[str, int]:
        return {"height": self.height, "records_waiting": self.waiting}

    def writing(self) -> tuple[int, int, str]:
        return self.sending

    def reading_errors(self) -> dict[str, str]:
        return {"topic": "denied"}

    def unavailable(self) -> dict[str, int]:
        return {"topic": self.failures}

    def heard(self) -> list[int]:
        return self.counts


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def driver() -> Driver:
    return Driver()


@pytest.fixture
def look(clock: Clock, driver: Driver) -> Callable[[], tuple[dict[str, Part], list[str]]]:
    watch = OrderWatch(("a", "b", "c"), "a", 15_000, driver, None, clock)

    def once() -> tuple[dict[str, Part], list[str]]:
        clock.ms += 1_000
        return dict(watch.parts()), watch.silent()

    return once


def test_before_the_boot_is_over_nobody_is_silent(clock: Clock, driver: Driver) -> None:
    """However long it takes, and though consensus had stopped already when the process before it ended."""
    watch = OrderWatch(("a", "b", "c"), "a", 15_000, driver, Part(clock.ms, waiting=3, mark=7), clock)
    driver.counts, clock.ms = [], clock.ms + 10 * GRACE_MS
    assert watch.silent() == []
    driver.counts = [1, 0, 0]
    assert watch.silent() == []


def test_what_is_done_again_and_again_survives_an_error_that_nobody_foresaw() -> None:
    turns, has_gone_on = 0, threading.Event()

    def act() -> None:
        nonlocal turns
        turns += 1
        if turns >= 4:
            has_gone_on.set()
            return
        raise ZeroDivisionError(turns // 3)

    with capture_logs() as told, repeating("a try", act, 0.001):
        assert has_gone_on.wait(WAIT_S)
    assert [line["what"] for line in told] == ["a try"] * 2, "each error once, however often it comes"


def test_in_a_stall_validators_that_say_nothing_are_silent_and_in_an_idle_chain_nobody_is(
    look: Callable[[], tuple[dict[str, Part], list[str]]], driver: Driver, clock: Clock
) -> None:
    for _ in range(60):
        assert look()[1] == [], "nothing is to be agreed on"
    driver.waiting, stalled_ms = 3, clock.ms
    found: list[str] = []
    for second in range(40):
        driver.counts[1] += second % 10 == 0
        parts, found = look()
        assert parts["consensus"].well_ms == stalled_ms
    assert found == ["c"]
    driver.height += 1
    assert look()[1] == []


def test_what_the_log_does_not_take_and_a_topic_that_cannot_be_read_are_parts_of_their_own(
    look: Callable[[], tuple[dict[str, Part], list[str]]], driver: Driver, clock: Clock
) -> None:
    look()
    began = clock.ms
    driver.sending = (2, 0, "NOT_ENOUGH_REPLICAS")
    for _ in range(8):
        driver.failures += 1
        parts, _ = look()
    assert parts["log_write"] == Part(began, "NOT_ENOUGH_REPLICAS", 2, 0)
    assert parts["log_read"] == Part(began, "topic: denied")
    driver.sending = (2, 1, "")
    assert look()[0]["log_write"].well_ms == clock.ms
    assert GRACE_MS


def test_a_session_that_starts_is_no_step_of_execution_unless_nothing_is_left_to_do() -> None:
    final = [9]
    progress = ExecutionProgress(lambda: final[0])
    assert not progress.reached(5)
    for _ in range(3):
        progress.failed(RuntimeError("canceling statement due to statement timeout"))
        assert not progress.reached(5), "again and again, and no flush"
    assert progress.part().waiting == 4
    assert progress.part().error == "canceling statement due to statement timeout"
    assert progress.reached(6)
    assert progress.part() == Part(progress.part().well_ms, "", 3, 6)
    progress.failed(RuntimeError("gone"))
    final[0] = 6
    assert progress.reached(6), "the database is back, and has everything"


def test_a_pulse_is_read_as_it_was_written_and_anything_else_is_none(tmp_path: Path) -> None:
    file = tmp_path / "order.pulse"
    assert read_pulse(file) is None
    pulse = Pulse(5, 7, {"log": Part(3, "away", 2, 1)}, ("mend",), ("v2",))
    write_pulse(file, pulse)
    assert read_pulse(file) == pulse
    assert part_before(file, "log") == Part(3, "away", 2, 1)
    for text in (b"", b"[]", b"{}", b'{"at_ms": 1, "pid": 2, "parts": {"log": 3}, "problems": [], "silent": []}'):
        file.write_bytes(text)
        assert read_pulse(file) is None


def test_a_dependency_that_never_answers_holds_up_no_pulse(tmp_path: Path) -> None:
    file = tmp_path / "order.pulse"
    dependency, hang, asked = Dependency(), threading.Event(), threading.Event()

    def ask() -> None:
        asked.set()
        hang.wait(WAIT_S)

    began = monotonic_ms()
    told = threading.Event()
    with asking("it", ask, dependency, (OSError,)):
        assert asked.wait(WAIT_S)

        def parts() -> dict[str, Part]:
            if file.exists():
                told.set()
            return {"it": dependency.part()}

        with pulsing(file, parts):
            assert told.wait(WAIT_S)
        hang.set()
    written = read_pulse(file)
    assert written is not None
    assert written.parts["it"].well_ms <= began
