"""A flood in one input delays no other: counted in what the loop is given in between, never in time."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from backbone.intake.intake import Advance
from backbone.log import LogRecord
from backbone.store import Entry
from tests.builders import genesis
from tests.driver_bench import DriverBench, QuietIntake
from tests.flaky_log import FlakyLog, FlakyReader
from tests.patience import WAIT_S

FLOOD = 20_000
"""Records: more than any queue holds."""
BETWEEN_MAX = 2_000
"""Of the flood, between the moment at which another input had something and the one at which the loop got it."""

CHAIN = genesis(4)
INPUTS = [
    CHAIN.topic_name("consensus.v1"),
    CHAIN.topic_name("consensus.v3"),
    CHAIN.topic_name("checkpoints"),
    CHAIN.topic_name("blocks"),
    "intake",
]


class Gated(FlakyLog):
    """Counts how many records were read of each topic."""

    def __init__(self) -> None:
        super().__init__()
        self.read: dict[str, int] = {}

    def reader(self, topic: str, positions: Any) -> "GatedReader":
        super().reader(topic, positions)
        return GatedReader(self, topic, dict(positions))


class GatedReader(FlakyReader):
    def __init__(self, log: Gated, topic: str, positions: dict[int, int]) -> None:
        super().__init__(log, topic, positions)
        self._gated, self._name = log, topic

    def read(self, records_max: int, timeout_ms: int) -> Sequence[LogRecord]:
        found = super().read(records_max, timeout_ms)
        self._gated.read[self._name] = self._gated.read.get(self._name, 0) + len(found)
        return found


class FloodIntake(QuietIntake):
    """Tells of records as fast as it is asked."""

    def __init__(self) -> None:
        self.told = 0
        self.flood: Iterator[int] = iter(())

    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance]:
        number = next(self.flood, None)
        if number is None:
            Event().wait(timeout_ms / 1000)
            return []
        self.told += 1
        return [Advance(0, 0, (Entry(number + 1, bytes(32), 1),))]


class Flooded(DriverBench):
    """Its loop waits until what floods it fills all queues, and then until all others have read."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, flooded: str) -> None:
        self.taken: list[str] = []
        self._flooded = flooded
        self._log = Gated()
        self._intake = FloodIntake()
        self._is_ready = False
        super().__init__(home, monkeypatch, CHAIN, self._log, self._intake, self._note, self._prepare)

    def _note(self, item: object) -> None:
        self.taken.append(item.topic if isinstance(item, LogRecord) else "intake")

    def _prepare(self) -> int:
        """Called by the loop's thread, in a turn of its own."""
        if not self._is_ready:
            self._say(self._flooded, FLOOD)
            rests(lambda: (self._intake.told, dict(self._log.read)))
            for name in INPUTS:
                if name != self._flooded:
                    self._say(name, 3)
            rests(lambda: (self._intake.told, dict(self._log.read)))
            self.taken.clear()
            self._is_ready = True
        return 0

    def _say(self, name: str, records: int) -> None:
        if name == "intake":
            self._intake.flood = iter(range(records))
            return
        for number in range(records):
            self._log.append(name, 0, b"record %d" % number)


def rests(state: Callable[[], object]) -> None:
    """Wait until nothing changes any more."""
    pause, last, quiet = Event(), None, 0
    for _ in range(WAIT_S * 100):
        found = state()
        quiet = quiet + 1 if found == last else 0
        last = found
        if quiet == 30:
            return
        pause.wait(0.01)


@pytest.mark.parametrize("flooded", INPUTS)
def test_a_flood_in_one_input_delays_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flooded: str) -> None:
    it = Flooded(tmp_path, monkeypatch, flooded)
    pause = Event()
    for _ in range(WAIT_S * 100):
        if it.taken.count(flooded) >= FLOOD // 2 and len(set(it.taken)) == len(INPUTS):
            break
        pause.wait(0.01)
    it.close()
    others = [place for place, name in enumerate(it.taken) if name != flooded]
    assert len(others) == 3 * (len(INPUTS) - 1)
    assert it.taken[: others[-1]].count(flooded) <= BETWEEN_MAX
