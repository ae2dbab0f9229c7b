"""Every wait for what must come has the one bound of `tests/patience.py`; a shorter one fails on a busy machine."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

TESTS: Final = Path(__file__).parents[1]
SHORT_S: Final = 5  # Below this a test asks that something does not come, or looks again and again.
WAITS: Final = {"join", "result", "wait", "wait_ended"}


def _seconds(node: ast.expr | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, int | float) and node.value >= SHORT_S


def own_bounds(source: str) -> Iterator[int]:
    """The lines of `source` where a wait has a bound of its own."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Attribute(attr=name), args=[bound]) if name in WAITS and _seconds(bound):
                yield node.lineno
            case ast.Call() if any(k.arg in ("timeout", "timeout_s") and _seconds(k.value) for k in node.keywords):
                yield node.lineno
            case ast.BinOp(left=ast.Call(func=ast.Attribute(attr="monotonic")), right=bound) if _seconds(bound):
                yield node.lineno


@pytest.mark.parametrize(
    "source",
    [
        "run(argv, timeout=60)",
        "client.wait(sent, timeout_s=20.0)",
        "deadline = time.monotonic() + 90",
        "thread.join(20)",
        "future.result(30)",
    ],
)
def test_a_bound_is_seen(source: str) -> None:
    assert [*own_bounds(source)] == [1]


@pytest.mark.parametrize("source", ["run(argv, timeout=WAIT_S)", "pause.wait(0.01)", "time.monotonic() + WAIT_S"])
def test_the_one_bound_is_none_of_its_own(source: str) -> None:
    assert not [*own_bounds(source)]


def test_no_test_has_a_bound_of_its_own() -> None:
    found = {
        f"{path.relative_to(TESTS)}:{line}" for path in TESTS.rglob("*.py") for line in own_bounds(path.read_text())
    }
    assert not found
