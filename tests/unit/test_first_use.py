"""The user that an embedded Postgres of root runs as, on a machine that has none yet: one, whoever asks and dies."""

import json
from typing import Any

import pytest

from tests.fresh_machine import module_on_fresh_machine


def first_use(what: str, given: str) -> Any:
    return json.loads(module_on_fresh_machine("tests.first_use", what, given))


def test_four_that_need_the_user_at_once_are_given_the_one_that_stays() -> None:
    for *told, entry in first_use("at_once", "20"):
        assert told == [entry] * 4


@pytest.mark.parametrize("victims", ["caller", "useradd", "caller and useradd"])
def test_killed_half_way_the_next_one_waits_for_what_is_under_way_and_does_the_rest(victims: str) -> None:
    seen = first_use("killed", victims)
    assert seen["told"] == seen["entry"] is not None
    assert seen["calls"] == (2 if "useradd" in victims else 1)


@pytest.mark.parametrize("state", ["group_alone", "stale_locks", "no_sbin"])
def test_what_a_killed_one_left_is_no_obstacle_nor_is_a_short_path(state: str) -> None:
    seen = first_use("state", state)
    assert seen["told"] == seen["entry"] is not None


@pytest.mark.parametrize(("state", "why"), [("no_program", "useradd"), ("other_root", "root's id")])
def test_a_machine_that_cannot_have_the_user_is_told_what_helps(state: str, why: str) -> None:
    told = first_use("state", state)["told"]
    assert why in told
    assert told.startswith("Postgres does not run as root") or "another id" in told
