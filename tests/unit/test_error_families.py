"""Every class of error that the product raises has one of the four families."""

import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import walk_packages
from typing import Final

import pytest

from cli.output import Failure
from ledger.errors import CallerError, Halt, PeerError, Unavailable
from node.home import exits
from serving.problems import Problem
from simulation.parts.disk import Crashed
from simulation.threads.scheduler import Killed

ROOT: Final = Path(__file__).parents[2]
PARTS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["root_packages"]
FAMILIES: Final = (PeerError, CallerError, Unavailable, Halt)
ANSWERS: Final = (Failure, Problem)
"""How a command and a request end, whatever the family: each bears a code of its own."""


def below(base: type[BaseException]) -> Iterator[type[BaseException]]:
    for kind in base.__subclasses__():
        yield kind
        yield from below(kind)


def is_used(kind: type[BaseException]) -> bool:
    """What a dataclass with slots was made from is not: another class has its name."""
    return vars(sys.modules[kind.__module__]).get(kind.__name__, kind) is kind


def test_every_error_of_the_product_has_one_family() -> None:
    for part in PARTS:
        for module in walk_packages([str(ROOT / part)], f"{part}."):
            if not module.name.endswith("__main__"):
                import_module(module.name)
    ours = {kind for kind in below(BaseException) if kind.__module__.partition(".")[0] in PARTS and is_used(kind)}
    assert len(ours) > 60
    without = {kind for kind in ours if sum(issubclass(kind, family) for family in FAMILIES) != 1}
    assert without == {*ANSWERS, Crashed, Killed}


@pytest.mark.parametrize("kind", [Crashed, Killed])
def test_virtual_crash_is_caught_by_nobody_who_handles_errors(kind: type[BaseException]) -> None:
    assert not issubclass(kind, Exception)


def test_every_family_has_an_exit_code_of_its_own() -> None:
    assert tuple(exits.FAMILIES) == FAMILIES
    assert len({exits.code_of(family("broken")) for family in FAMILIES}) == len(FAMILIES)
