"""When the execute process makes a snapshot: where block time enters another span, on all nodes at the same heights."""

from dataclasses import dataclass, field
from random import Random
from typing import cast

import pytest

from ledger.checkpoint import Checkpoint
from node.execution.snapshots import Snapshots
from projections.flush.checkpoints import StoredCheckpoint
from projections.session.errors import DatabaseUnavailable
from projections.snapshots.exporting import ExportedView

HOUR_MS = 3_600_000


@dataclass
class Settings:
    every_ms: int


@dataclass
class Node(Snapshots):
    """Of an execute process only what decides. `times`: of each checkpoint of the chain, from height 1."""

    times: list[int]
    every_ms: int
    fails: bool = False
    made: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self._settings = cast("object", type("Tree", (), {"snapshots": Settings(self.every_ms)}))  # type: ignore[assignment]
        self._is_owed, self._making, self._last = False, None, None

    def reach(self, height: int) -> None:
        checkpoint = cast(Checkpoint, type("At", (), {"height": height}))
        self.reached(StoredCheckpoint(checkpoint, b"", self.times[height - 1]))

    def _is_wanted(self, checkpoint: StoredCheckpoint) -> bool:
        return False

    def _time_before(self, height: int) -> int | None:
        return self.times[height - 2] if height > 1 else None

    def _view(self, height: int) -> ExportedView | None:
        if self.fails:
            raise DatabaseUnavailable("away")
        return cast(ExportedView, object())

    def _make(self, view: ExportedView, height: int) -> None:
        self.made.append(height)


@pytest.mark.parametrize("every_ms", [1, 90_000, HOUR_MS])
def test_nodes_that_start_again_at_any_time_make_theirs_at_the_same_heights(every_ms: int) -> None:
    chance, times, now_ms = Random(1), [], 1_700_000_000_000
    for _ in range(300):
        now_ms += chance.choice((1_000, 60_000, 61_000, 2 * HOUR_MS))
        times.append(now_ms)
    nodes = [Node(times, every_ms) for _ in range(3)]
    for height in range(1, len(times) + 1):
        for node in nodes:
            if chance.randrange(7) == 0:
                node.restart()
            node.reach(height)
    spans = [time_ms // every_ms for time_ms in times]
    assert nodes[0].made == [height for height in range(2, len(times) + 1) if spans[height - 1] > spans[height - 2]]
    assert nodes[0].made == nodes[1].made == nodes[2].made
    assert len(nodes[0].made) > 30


def test_one_that_could_not_be_begun_is_made_at_the_next_checkpoint() -> None:
    node = Node([1, 9, 11, 12, 13], every_ms=10)
    node.reach(1)
    node.reach(2)
    node.fails = True
    node.reach(3)
    node.fails = False
    node.reach(4)
    node.reach(5)
    assert node.made == [4]


def test_none_is_made_where_they_are_off() -> None:
    node = Node([1, 10**10, 10**13], every_ms=0)
    for height in (1, 2, 3):
        node.reach(height)
    assert node.made == []
