"""The adversary that docs/byzantine-testing.md shows does what the page says."""

import re
from pathlib import Path
from typing import Any

from simulation.adversaries.kinds import ADVERSARIES
from simulation.checkers import CHECKERS
from simulation.mutants import MUTANTS
from simulation.parts.faults import FAULTS
from simulation.parts.mishaps import Mishap
from simulation.threads.ports import PORT_FAULTS

PAGE = Path(__file__).parents[2] / "docs" / "byzantine-testing.md"


def test_example_of_an_adversary_runs_as_it_stands() -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    names: dict[str, Any] = {}
    exec(compile(code, str(PAGE), "exec"), names)
    assert names["world"].checkers.agreement.height > 10


def test_page_names_every_adversary_fault_checker_and_planted_bug() -> None:

    page = PAGE.read_text()
    named = [*ADVERSARIES, *CHECKERS, *FAULTS, *PORT_FAULTS]
    names = [*named, *(mishap.value for mishap in Mishap), *(it.name for it in MUTANTS)]
    assert [name for name in names if name not in page] == []
