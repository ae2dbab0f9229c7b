"""Who the committee is stands in one place: nothing else in product code computes a quorum, a leader or a key."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import cast

import pytest

ROOT = Path(__file__).parents[2]
PLACE = "ledger/committee.py"
NO_PRODUCT = ("tests", "benchmarks", "simulation", "examples", "migrations")
"""Checkers keep arithmetic of their own, and so do tests."""
READS_GENESIS = {
    PLACE: "makes the committee of the first epoch",
    "ledger/leaves.py": "genesis' own rows of state",
    "node/setup/draft.py": "drafts of genesis",
}
"""Who may read `genesis.validators`."""
MAKES_COMMITTEES = {
    "node/home/context.py": "what a node knows of itself, which all its parts get",
    "node/setup/join.py": "the home of a node is being made",
    "cli/joining.py": "shows a genesis",
    "cli/verify.py": "knows the genesis alone",
    "client/client.py": "knows the genesis alone",
    "lab/bench/committee.py": "makes the chain that it measures",
    "lab/bench/run.py": "makes the chain that it measures",
}
"""Who may take the committees of a chain from its genesis: everybody else is told them."""


@cache
def product() -> tuple[tuple[str, tuple[ast.AST, ...]], ...]:
    """Each file with the nodes of its tree."""
    return tuple((str(file.relative_to(ROOT)), tuple(ast.walk(ast.parse(file.read_text())))) for file in _files())


def _files() -> Iterator[Path]:
    folders = [folder for folder in sorted(ROOT.iterdir()) if (folder / "__init__.py").exists()]
    for folder in folders:
        if folder.name not in NO_PRODUCT:
            yield from sorted(folder.rglob("*.py"))


def is_call_of(node: ast.AST, *names: str) -> bool:
    return isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) in names


def times(node: ast.AST, factor: int) -> bool:
    """Whether it multiplies by this number."""
    sides = (node.left, node.right) if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) else ()
    return any(isinstance(side, ast.Constant) and side.value == factor for side in sides)


def is_quorum(node: ast.AST) -> bool:
    """A comparison with a third or two thirds, however it is written."""
    if not isinstance(node, ast.Compare):
        return False
    sides = [node.left, *node.comparators]
    thirds = [side for side in sides for part in ast.walk(side) if times(part, 3) or is_divided(part, 3)]
    return bool(thirds)


def is_divided(node: ast.AST, by: int) -> bool:
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div | ast.FloorDiv)):
        return False
    is_by = isinstance(node.right, ast.Constant) and node.right.value == by
    return is_by and not isinstance(node.left, ast.Constant)


def of_genesis(node: ast.AST) -> bool:
    """`genesis.validators`, whatever genesis is called."""
    if not (isinstance(node, ast.Attribute) and node.attr == "validators"):
        return False
    name = getattr(node.value, "id", getattr(node.value, "attr", ""))
    return name.strip("_") in ("genesis", "chain")


def is_leader(node: ast.AST) -> bool:
    """The table itself, its size, or a view modulo something."""
    if is_call_of(node, "leader_table") or (isinstance(node, ast.Name) and node.id == "SLOTS"):
        return True
    if not (isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod)):
        return False
    names = {part.attr if isinstance(part, ast.Attribute) else getattr(part, "id", "") for part in ast.walk(node.left)}
    return "view" in names


def is_key_by_index(node: ast.AST) -> bool:
    """`genesis.validators[i]`."""
    return isinstance(node, ast.Subscript) and of_genesis(node.value)


def is_powers(node: ast.AST) -> bool:
    """A sum of powers."""
    return is_call_of(node, "sum") and any(
        isinstance(part, ast.Attribute) and part.attr == "power" for part in ast.walk(node)
    )


WHAT = {"a quorum": is_quorum, "a leader": is_leader, "a key by index": is_key_by_index, "a sum of powers": is_powers}


@pytest.mark.parametrize("what", WHAT)
def test_is_computed_in_one_place(what: str) -> None:
    found = {place for place, nodes in product() if any(map(WHAT[what], nodes))}
    assert found - {PLACE} == set()


def test_validators_of_genesis_are_read_by_few() -> None:
    assert {place for place, nodes in product() if any(map(of_genesis, nodes))} == READS_GENESIS.keys()


def test_committees_are_made_by_few() -> None:
    def is_made(node: ast.AST) -> bool:
        return is_call_of(node, "of") and "Committees" in ast.unparse(cast(ast.Call, node).func)

    assert {place for place, nodes in product() if any(map(is_made, nodes))} == MAKES_COMMITTEES.keys()


SAMPLES = {
    "a quorum": ["3 * power > 2 * total", "power > 2 * total // 3", "power * 3 <= sum(x)", "held / 3 > a"],
    "a leader": ["leader_table(powers)", "leaders[view % len(leaders)]", "table[message.view % 1024]", "SLOTS"],
    "a key by index": ["genesis.validators[member].consensus_key", "self._genesis.validators[0]"],
    "a sum of powers": ["sum(v.power for v in genesis.validators)", "sum([m.power for m in x])"],
}


@pytest.mark.parametrize("what", SAMPLES)
def test_search_finds_it_however_it_is_written(what: str) -> None:
    for sample in SAMPLES[what]:
        assert any(map(WHAT[what], ast.walk(ast.parse(sample)))), sample
