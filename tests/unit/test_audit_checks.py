"""The table of what an audit checks is whole: in code, in the audit's parts, and on the page."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from node.recovery.audit import Audit
from node.recovery.audit_checks import CHECKS, checks_table
from tests.unit.test_error_families import ROOT

SOURCES: Final = (*(ROOT / "projections" / "audit").glob("*.py"), *(ROOT / "node" / "recovery").glob("audit*.py"))
BY_REPLAY: Final = "store"
"""Not of a check: that a replay skipped the store, and why."""


def places_named(source: Path) -> Iterator[str]:
    """What stands as the place of a finding, where the source says it in words."""
    tree = ast.parse(source.read_text())
    constants = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Constant)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add"):
            continue
        if len(node.args) != 3:
            continue
        where = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
        if isinstance(where, ast.Constant):
            yield str(where.value).strip()
        elif isinstance(where, ast.Name) and where.id in constants:
            yield str(constants[where.id])


def test_every_place_that_a_finding_names_is_in_the_table() -> None:
    named = {place for source in SOURCES for place in places_named(source)}
    assert len(named) > 10
    assert named - {BY_REPLAY} == {check.name for check in CHECKS}


def test_every_check_is_done_where_the_table_says() -> None:
    modules = {".".join(source.relative_to(ROOT).with_suffix("").parts) for source in SOURCES}
    assert {check.done_by.__module__ for check in CHECKS} <= modules
    assert len({(check.part, check.name) for check in CHECKS}) == len(CHECKS)


def test_the_page_has_the_table() -> None:
    assert "\n".join(checks_table()) in (ROOT / "docs" / "recovery.md").read_text()


def test_the_audit_can_do_every_part_of_the_table() -> None:
    assert {check.part for check in CHECKS} == set(Audit.RUNS)
