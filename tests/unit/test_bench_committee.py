"""The committee bench's reckoning: which gaps a dead leader caused, and which marks are bounds from above."""

from itertools import accumulate

import pytest

from lab.bench.deaths import DeathsFigures, Standing, busy_loops, is_level
from lab.bench.figures import Mark
from lab.bench.succession import Death, Gaps, gaps
from lab.bench.watch import Finalization
from ledger.committee import Committees
from tests.builders import genesis

CHAIN = genesis(4, partitions=1)
COMMITTEE = Committees.of(CHAIN).current
DEAD = COMMITTEE.leader(1)


def _led_by_dead(view: int) -> bool:
    return COMMITTEE.leader(view) == DEAD


def _seen(views: int, seconds_past_dead: float) -> list[Finalization]:
    """Every view up to `views` is final, one a second, but those of the dead one, which cost more."""
    lived = [view for view in range(1, views + 1) if not _led_by_dead(view)]
    steps = [1.0 + (seconds_past_dead if _led_by_dead(view - 1) else 0.0) for view in lived]
    times = accumulate(steps)
    return [
        Finalization(at_s, height, view, COMMITTEE.leader(view))
        for height, (at_s, view) in enumerate(zip(times, lived, strict=True), 1)
    ]


def test_gaps_around_a_dead_leaders_views_are_first_ones_until_it_is_known_to_be_dead() -> None:
    seen = _seen(40, seconds_past_dead=5.0)
    found = gaps(COMMITTEE, seen, [Death(DEAD, 4, 0.5, seen[-1].at_s)])
    led = [view for view in range(seen[0].view + 1, seen[-1].view) if _led_by_dead(view)]
    assert len(found.first) == sum(view - 4 <= 8 for view in led)
    assert len(found.known) == sum(view - 4 > 8 for view in led)
    assert set(found.first + found.known) == {6.0}


def test_gaps_before_a_death_and_after_a_return_do_not_count() -> None:
    seen = _seen(40, seconds_past_dead=5.0)
    assert gaps(COMMITTEE, seen, [Death(DEAD, 1, seen[-1].at_s, seen[-1].at_s + 9)]) == Gaps((), ())
    assert gaps(COMMITTEE, seen, [Death(DEAD, 1, -1.0, 0.0)]) == Gaps((), ())


def test_gaps_of_views_that_another_one_led_do_not_count() -> None:
    seen = _seen(40, seconds_past_dead=5.0)
    other = (DEAD + 1) % 4
    assert gaps(COMMITTEE, seen, [Death(other, 1, 0.0, seen[-1].at_s)]) == Gaps((), ())


def test_a_mark_to_stay_below_is_met_below_and_missed_above() -> None:
    assert [Mark("ms", value, 250.0, is_bound=True).as_json()["met"] for value in (0.0, 250.0, 251.0)] == [
        True,
        True,
        False,
    ]
    assert "missed by 10%" in Mark("ms", 275.0, 250.0, is_bound=True).sentence


@pytest.mark.parametrize(
    ("heights", "is_so"),
    [([(9, 9), (9, 9)], True), ([(9, 9), (9, 8)], False), ([(9, 9), (8, 8)], False), ([(9, 8), (9, 8)], False)],
)
def test_nobody_is_behind_where_all_have_the_same_final_blocks_and_have_executed_them(
    heights: list[tuple[int, int]], is_so: bool
) -> None:
    found = [Standing(f"v{number}", final, executed) for number, (final, executed) in enumerate(heights)]
    assert is_level(found) is is_so


def test_a_committee_that_never_comes_level_misses_the_mark() -> None:
    for level_s, met in ((None, False), (31.0, False), (29.0, True)):
        (mark,) = DeathsFigures(4, 20, 4, level_s=level_s).marks()
        assert mark.as_json()["met"] is met


def test_busy_loops_run_for_as_long_as_their_block() -> None:
    with busy_loops(2) as processes:
        assert [process.poll() for process in processes] == [None, None]
    assert all(process.poll() is not None for process in processes)
