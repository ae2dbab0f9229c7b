"""Attacks on timers: that never grow, or that never run out."""

import pytest

from consensus.core.timers import ConsensusSettings, Timers
from tests.builders import committee


def pace(**settings: int) -> Timers:
    return Timers(ConsensusSettings(**settings), committee(1, 1, 1, 1))


@pytest.mark.parametrize("growth_percent", [101, 150, 1_000])
def test_the_smallest_timer_that_settings_allow_grows_to_the_largest(growth_percent: int) -> None:
    timers = pace(timeout_ms=20, timeout_growth_percent=growth_percent)
    for _ in range(2_000):
        timers.nullified()
    assert timers.timeout_ms() == ConsensusSettings().timeout_max_ms


def test_a_thousand_nullified_views_are_forgotten_after_a_few_final_ones() -> None:
    timers = pace()
    for _ in range(1_000):
        timers.nullified()
    for _ in range(4):
        timers.finalized(0)
    assert timers.timeout_ms() <= 2 * ConsensusSettings().timeout_ms
