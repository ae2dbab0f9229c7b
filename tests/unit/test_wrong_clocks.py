"""Clocks that are set wrong, of one or of all, before a start or while validators run: the chain goes on, its time
keeps to the time of day where a quorum's clocks did, and a node says what is wrong."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from consensus.runtime.clock import HOLD_MS, SteadyClock
from consensus.wire.messages import Kind
from ledger.header import Header, decode_header
from node.ordering.clock import ToldClock, read_doubted_ms, what_is_wrong
from tests.committee import START_MS, Committee
from tests.core_bench import Bench

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000


class Times:
    """What a machine shows: time that passes, and a wall clock that may be set."""

    def __init__(self, wall_ms: int = START_MS) -> None:
        self.passed_ms = 0
        self.wall_ms = wall_ms
        self.clock = SteadyClock(lambda: self.passed_ms / 1000, lambda: self.wall_ms / 1000)

    def run(self, duration_ms: int) -> int:
        """Time passes, looked at often; how far the clock's time of day is ahead of the wall clock of the start."""
        for _ in range(duration_ms // 500):
            self.passed_ms += 500
            self.wall_ms += 500
            self.clock.ahead_ms()
        return self.clock.ahead_ms()


@pytest.mark.parametrize("jump_ms", [3 * SECOND, DAY, -3 * SECOND, -DAY, 30 * 365 * DAY])
def test_timers_do_not_notice_how_the_wall_clock_is_set(jump_ms: int) -> None:
    times = Times()
    times.wall_ms += jump_ms
    times.passed_ms += 5
    assert times.clock.now_ms() == START_MS + 5


@pytest.mark.parametrize(
    ("jump_ms", "for_ms", "most_ms"),
    [
        (1_500, MINUTE, 1_500),
        (-1_500, MINUTE, -1_500),
        (DAY, SECOND, 100),
        (DAY, MINUTE, 4 * SECOND),
        (DAY, HOUR, 4 * MINUTE),
        (30 * 365 * DAY, HOUR, 4 * MINUTE),
        (-DAY, HOLD_MS - SECOND, 0),
        (-DAY, HOLD_MS + 2 * SECOND, -DAY),
    ],
)
def test_a_jump_is_followed_no_further_than_this(jump_ms: int, for_ms: int, most_ms: int) -> None:
    times = Times()
    times.run(MINUTE)
    times.wall_ms += jump_ms
    ahead_ms = times.run(for_ms)
    assert abs(ahead_ms) <= abs(most_ms)
    assert (times.clock.doubted_ms == 0) == (abs(ahead_ms - jump_ms) <= SECOND)


@pytest.mark.parametrize("jump_ms", [DAY, HOUR, -DAY, -HOUR])
def test_a_wall_clock_that_is_right_again_is_followed_at_once(jump_ms: int) -> None:
    times = Times()
    times.wall_ms += jump_ms
    times.run(HOLD_MS - SECOND if jump_ms < 0 else HOUR // 2)
    times.wall_ms -= jump_ms
    times.run(HOLD_MS + SECOND)
    assert (times.clock.ahead_ms(), times.clock.doubted_ms) == (0, 0)


def test_a_wall_clock_that_jumped_to_what_final_blocks_bear_is_followed_at_once_and_no_further() -> None:
    """A machine that started with a clock a day behind; then NTP came."""
    times = Times(START_MS - DAY)
    times.clock.vouch(START_MS)
    assert times.clock.ahead_ms() == 0, "its own clock says nothing of the kind"
    times.wall_ms += DAY
    assert times.run(SECOND) == DAY
    times.wall_ms += DAY
    assert times.run(MINUTE) < DAY + 4 * SECOND


def test_of_time_in_which_nobody_looked_only_a_moment_counts() -> None:
    times = Times()
    times.passed_ms += DAY
    times.wall_ms += 3 * DAY
    assert times.clock.ahead_ms() <= 50


# --- the core ---


@pytest.mark.parametrize("ahead_ms", [6 * SECOND, HOUR, DAY, 365 * DAY])
def test_a_block_a_millisecond_after_its_parent_is_voted_for_however_far_the_chains_time_is_ahead(
    ahead_ms: int,
) -> None:
    bench = Bench()
    bench.hold(2)
    first = bench.block(1, time_ms=START_MS + ahead_ms)
    bench.hear(bench.propose(first), bench.certificate(Kind.FINALIZE, 1, first))
    bench.said()
    bench.hear(bench.propose(bench.block(2, first, records=2, time_ms=first.header.time_ms + 1)))
    assert bench.said() == ["notarize 2"]


def test_a_block_two_milliseconds_after_a_parent_that_is_ahead_is_not_voted_for_yet() -> None:
    bench = Bench()
    bench.hold(2)
    first = bench.block(1, time_ms=START_MS + DAY)
    bench.hear(bench.propose(first), bench.certificate(Kind.FINALIZE, 1, first))
    bench.said()
    bench.hear(bench.propose(bench.block(2, first, records=2, time_ms=first.header.time_ms + 2)))
    assert bench.said() == []


# --- a committee ---


class Clocked(Committee):
    """A committee whose members have clocks of their own, the production ones, over wall clocks that may be set."""

    def __init__(self, *wrong_ms: int) -> None:
        """How far each one's wall clock is wrong at the start."""
        self.wrong_ms = list(wrong_ms)
        self.clocks: dict[int, SteadyClock] = {}
        super().__init__(len(wrong_ms), partitions=1, checkpoint_time_ms=3_600_000)

    def start(self, index: int) -> None:
        self.clocks[index] = SteadyClock(
            lambda: self.now_ms / 1000, lambda: (self.now_ms + self.wrong_ms[index]) / 1000
        )
        super().start(index)

    def restart(self) -> None:
        for index in range(len(self.members)):
            self.crash(index)
        for index in range(len(self.members)):
            self.start(index)

    def shown_ms(self, index: int) -> int:
        return self.clocks[index].now_ms()

    def live(self, seconds: int, records: int = 0) -> int:
        """Clients send a record every second, so many; how many seconds the chain's last time is ahead."""
        for second in range(seconds):
            for member in self.members:
                if member.loop is not None:
                    clock = self.clocks[member.index]
                    member.loop.set_clock(clock.ahead_ms(), clock.now_ms())
            if second < records:
                self.produce()
            self.pass_ms(1_000)
        return (self.times_ms()[-1] - self.now_ms) // 1000

    def times_ms(self) -> list[int]:
        """Of all final blocks."""
        longest = max((member.store.finals for member in self.members), key=len)
        headers = [decode_header(final.header_bytes, 1) for final in longest]
        return [header.time_ms for header in headers if isinstance(header, Header)]

    def is_all_final(self) -> bool:
        loops = [member.loop for member in self.members if member.loop is not None]
        return all(loop.core.state.heads.base(0).end_offset == len(self.log[0]) for loop in loops)


@dataclass
class Case:
    """Clocks are wrong at the start by `start`; set to `then` after a while, and right `for_s` seconds later if
    `is_mended`; `restarts`: everybody restarts when they are set."""

    start: tuple[int, ...] = (0, 0, 0, 0)
    then: tuple[int, ...] | None = None
    for_s: int = 15
    restarts: bool = False
    is_mended: bool = True
    ahead_s: tuple[int, int] = (-20, 10)
    """How far the chain's time is ahead in the end."""
    dead: list[int] = field(default_factory=list)


CASES = {
    "nobody is wrong": Case(),
    "one is a day ahead before its start": Case((0, DAY, 0, 0)),
    "one is a day behind before its start": Case((0, -DAY, 0, 0)),
    "half are a day ahead before their start": Case((DAY, DAY, 0, 0)),
    "half are a day behind before their start": Case((-DAY, -DAY, 0, 0), ahead_s=(-90_000, 10)),
    "all but one are a day ahead before their start": Case((DAY, DAY, DAY, 0), ahead_s=(86_000, 90_000)),
    "all are wrong by different days": Case((0, DAY, -DAY, 2 * DAY), ahead_s=(-90_000, 90_000)),
    "all are a day ahead, are put right, and restart": Case(
        (DAY,) * 4, (0,) * 4, restarts=True, ahead_s=(86_000, 90_000)
    ),
    "all are a day ahead, and are put right while they run": Case((DAY,) * 4, (0,) * 4, ahead_s=(86_000, 90_000)),
    "one, who leads in his turn, jumps a day ahead": Case(then=(0, DAY, 0, 0)),
    "half jump a day ahead": Case(then=(DAY, DAY, 0, 0)),
    "all jump a day ahead for a while": Case(then=(DAY,) * 4),
    "all jump ahead for ever": Case(then=(30 * 365 * DAY,) * 4, is_mended=False),
    "one jumps a day back": Case(then=(0, -DAY, 0, 0)),
    "all jump a day back": Case(then=(-DAY,) * 4, for_s=70, ahead_s=(-120, 10)),
    "one is dead, and one a day behind": Case((0, -DAY, 0, 0), dead=[3], ahead_s=(-90_000, 10)),
    "one is dead, and one a day ahead": Case((0, DAY, 0, 0), dead=[3]),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_chain_goes_on_whatever_clocks_show(case: Case) -> None:
    committee = Clocked(*case.start)
    for index in case.dead:
        committee.crash(index)
    committee.live(15, records=2)
    assert committee.is_all_final(), "before anything was set"
    if case.then is not None:
        committee.wrong_ms = list(case.then)
        if case.restarts:
            committee.restart()
        committee.live(case.for_s, records=3)
        assert committee.is_all_final(), "after clocks were set"
        if case.is_mended:
            committee.wrong_ms = [0] * 4
    ahead_s = committee.live(20, records=10)
    assert committee.is_all_final()
    assert case.ahead_s[0] <= ahead_s <= case.ahead_s[1]


# --- what a node says ---


@pytest.mark.parametrize(
    ("block_time_ms", "doubted_ms", "said"),
    [
        (0, 0, []),
        (START_MS + 5 * SECOND, 0, []),
        (START_MS - DAY, 0, []),
        (START_MS + DAY, 0, ["The chain's time is 1.0 days ahead of this machine's clock"]),
        (START_MS + 6 * SECOND, 0, ["The chain's time is 6.0 s ahead of this machine's clock"]),
        (START_MS, 2 * HOUR, ["This machine's clock was set 2.0 hours ahead while the node ran"]),
        (START_MS, -90 * SECOND, ["This machine's clock was set 1.5 minutes back while the node ran"]),
    ],
)
def test_a_clock_that_is_wrong_is_told_of_with_what_to_do(block_time_ms: int, doubted_ms: int, said: list[str]) -> None:
    found = what_is_wrong(block_time_ms, doubted_ms, 5 * SECOND, START_MS)
    assert len(found) == len(said)
    assert all(sentence.startswith(beginning) for sentence, beginning in zip(found, said, strict=True))


def test_the_order_process_says_in_a_file_what_others_should_know_of_its_clock(tmp_path: Path) -> None:
    times = Times()
    told = ToldClock(tmp_path / "clock", START_MS - HOUR, times.clock)
    assert read_doubted_ms(tmp_path / "clock") == 0
    told.on_final(START_MS)
    for set_ms in (DAY, -2 * DAY, DAY):
        times.wall_ms += set_ms
        told.ahead_ms()
        assert read_doubted_ms(tmp_path / "clock") == times.wall_ms - START_MS
    told.close()
    assert read_doubted_ms(tmp_path / "nothing") == 0
