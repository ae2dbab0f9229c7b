"""Who leads which view."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.committee import SLOTS, leader_table

POWERS = st.lists(st.integers(1, 2**31 - 1), min_size=1, max_size=20)


def test_equal_powers_take_turns() -> None:
    assert leader_table([1, 1, 1, 1])[:8] == (0, 1, 2, 3, 0, 1, 2, 3)


def test_power_is_spread_evenly_over_the_table() -> None:
    assert leader_table([3, 1])[:8] == (0, 0, 1, 0, 0, 0, 1, 0)


def test_largest_remainder_takes_what_is_left_and_ties_go_to_the_lower_index() -> None:
    assert Counter(leader_table([1, 1, 1])) == {0: 342, 1: 341, 2: 341}


def test_power_below_half_a_slot_leads_nothing() -> None:
    assert 1 not in leader_table([1_000_000, 1])


@given(POWERS)
def test_table_is_full_and_nobody_is_more_than_one_slot_off_his_share(powers: list[int]) -> None:
    table = leader_table(powers)
    counts = Counter(table)
    assert len(table) == SLOTS
    for index, power in enumerate(powers):
        assert abs(counts[index] - SLOTS * power / sum(powers)) < 1


@pytest.mark.parametrize("powers", [[1], [5], [2**31 - 1]])
def test_a_committee_of_one_leads_always(powers: list[int]) -> None:
    assert set(leader_table(powers)) == {0}
