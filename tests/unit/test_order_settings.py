"""What an operator sets for consensus is what its core gets: every timer and bound, by one name or a listed one."""

from dataclasses import fields

import pytest

from consensus.core.timers import ConsensusSettings
from node.ordering.process import driver_settings
from node.settings.tree import BadSettings, OrderSettings, read_settings

NAMES = {
    "timeout_ms": "view_timeout_ms",
    "timeout_max_ms": "view_timeout_max_ms",
    "timeout_growth_percent": "view_timeout_growth_percent",
}
"""Of the core, and where the tree has another one."""
FIELDS = [field.name for field in fields(ConsensusSettings)]


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_of_the_core_is_one_of_the_node(name: str) -> None:
    setting = NAMES.get(name, name)
    default = getattr(OrderSettings(), setting)
    assert getattr(ConsensusSettings(), name) == default
    assert getattr(driver_settings(OrderSettings(**{setting: default + 1})), name) == default + 1


@pytest.mark.parametrize("name", ["fetch_ms", "reread_ms"])
@pytest.mark.parametrize(("given", "is_taken"), [("99", False), ("100", True), ("600000", True), ("600001", False)])
def test_fetching_and_reading_again_have_bounds(name: str, given: str, is_taken: bool) -> None:
    variables = {f"MOMUS_ORDER__{name.upper()}": given}
    if is_taken:
        assert getattr(read_settings(None, variables).order, name) == int(given)
    else:
        with pytest.raises(BadSettings, match=name):
            read_settings(None, variables)
