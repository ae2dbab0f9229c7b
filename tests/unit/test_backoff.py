"""Waits that double: one implementation, and nothing of the kind beside it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger.backoff import Backoff

ROOT = Path(__file__).parents[2]
NO_PRODUCT = ("tests", "benchmarks", "examples", "migrations")


def test_a_wait_doubles_with_each_failure_up_to_its_bound() -> None:
    assert [Backoff(100, 1_000).wait(failures) for failures in range(6)] == [100, 200, 400, 800, 1_000, 1_000]
    assert [Backoff(0.5, 3.0).wait(failures) for failures in range(4)] == [0.5, 1.0, 2.0, 3.0]


def test_failures_without_end_cost_nothing() -> None:
    assert Backoff(1, 10**9).wait(10**15) == 10**9
    assert Backoff(0.5, 30.0).wait(10**15) == 30.0


def test_a_bound_below_the_first_wait_holds() -> None:
    assert Backoff(100, 10).wait(0) == 10


def doubled_waits(tree: ast.AST) -> Iterator[int]:
    """Lines where a time is doubled: in a smallest of two, or in place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "min":
            parts = [part for argument in node.args for part in ast.walk(argument)]
            doubles = any(isinstance(part, ast.BinOp) and _doubles(part) for part in parts)
            if doubles and any(_is_time(part) for part in parts):
                yield node.lineno
        elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Mult | ast.LShift) and _is_time(node.target):
            yield node.lineno


def _doubles(part: ast.BinOp) -> bool:
    """`2 * x`, `x << n` or `2 ** n`."""
    if isinstance(part.op, ast.LShift):
        return True
    return isinstance(part.op, ast.Mult | ast.Pow) and any(
        isinstance(side, ast.Constant) and side.value == 2 for side in (part.left, part.right)
    )


def _is_time(part: ast.AST) -> bool:
    name = part.id if isinstance(part, ast.Name) else part.attr if isinstance(part, ast.Attribute) else ""
    words = name.lower().strip("_").split("_")
    return bool({"ms", "s", "wait", "pause", "interval", "delay", "retry", "backoff"} & set(words))


@pytest.mark.parametrize(
    "text",
    [
        "wait_s = min(RETRY_S_MAX, 2 * wait_s)",
        "pause_ms = min(search_ms << min(searches, 20), PAUSE_MS_MAX)",
        "wait = min(MOST, TICK_S * 2.0 ** failures)",
        "self._retry_ms *= 2",
    ],
)
def test_a_wait_that_doubles_by_itself_is_seen(text: str) -> None:
    assert list(doubled_waits(ast.parse(text))) == [1]


def test_a_size_that_doubles_is_none() -> None:
    assert list(doubled_waits(ast.parse("size = min(2 * size, CHUNK_BYTES_MAX)"))) == []


def test_no_other_wait_doubles_in_product_code() -> None:
    parts = [part for part in ROOT.iterdir() if (part / "__init__.py").exists() and part.name not in NO_PRODUCT]
    files = [file for part in parts for file in part.rglob("*.py")]
    found = [f"{file}:{line}" for file in files for line in doubled_waits(ast.parse(file.read_text()))]
    assert len(files) > 300
    assert found == []
