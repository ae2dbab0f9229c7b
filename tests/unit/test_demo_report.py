"""What a demo calls a failure, and how it sums up times."""

from typing import Any, Final

import pytest

from lab.demo.checks import Checks
from lab.demo.latency import Latency

GOOD: Final[dict[str, Any]] = {
    "accounts": 3,
    "executed": 10,
    "rejected": 0,
    "tables": 11,
    "balances_wrong": 0,
    "supply_equal": True,
    "databases_equal": True,
    "replay_equal": True,
}


def test_no_failure_where_everything_holds() -> None:
    assert Checks(**GOOD).failures(submitted=10) == []


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"executed": 9}, "10 transactions were submitted and 9 executed"),
        ({"rejected": 1}, "1 transactions were rejected"),
        ({"balances_wrong": 2}, "2 balances differ"),
        ({"supply_equal": False}, "do not add up"),
        ({"databases_equal": False}, "databases of the nodes differ"),
        ({"replay_equal": False}, "replayed database differs"),
    ],
)
def test_everything_that_does_not_hold_is_a_sentence(changes: dict[str, Any], complaint: str) -> None:
    (failure,) = Checks(**(GOOD | changes)).failures(submitted=10)
    assert complaint in failure


def test_balances_of_no_account_are_not_equal() -> None:
    assert not Checks(**(GOOD | {"accounts": 0})).balances_equal


def test_percentiles_are_by_nearest_rank_in_milliseconds() -> None:
    assert Latency.of(number / 1000 for number in range(1, 101)) == Latency(100, 50.0, 99.0)
    assert Latency.of([0.0123]) == Latency(1, 12.3, 12.3)


def test_no_time_is_no_percentile() -> None:
    with pytest.raises(ValueError, match="no transaction"):
        Latency.of([])
