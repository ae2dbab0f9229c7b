"""A flood in one input delays no other: counted in what the loop is given in between, never in time."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from backbone.intake import Advance
from backbone.log import LogRecord
from backbone.store import Entry, StoreReader, StoreWriter
from consensus.clock import SteadyClock
from consensus.driver import Driver
from consensus.journal_file import create
from consensus.loop import Loop
from consensus.pace import Settings
from consensus.ports import Ports
from tests.builders import genesis, validator_key
from tests.flaky_log import FlakyLog, FlakyReader

WAIT_S = 20
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


class FloodIntake:
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

    def backlog(self) -> Sequence[Advance]:
        return ()

    def on_final(self, heads: object, openings: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name}")


class Flooded:
    """A driver whose loop stands still until what floods it fills all queues, and then until all others have read."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, flooded: str) -> None:
        self.taken: list[str] = []
        self._flooded = flooded
        self._log = Gated()
        self._intake = FloodIntake()
        self._is_ready = False
        taken = self.taken

        class Noting(Loop):
            def take(self, item: object, now_ms: int) -> None:
                taken.append(item.topic if isinstance(item, LogRecord) else "intake")

        monkeypatch.setattr("consensus.driver.Loop", Noting)
        create(home / "journal", CHAIN.digest, validator_key(0).public_key)
        self._store = StoreWriter(home / "store")
        ports = Ports(
            genesis=CHAIN,
            key=validator_key(0),
            log=self._log,
            store=self._store,
            store_reader=StoreReader(home / "store"),
            intake=self._intake,
            source=self._intake,
            journal_path=home / "journal",
            lag=self._prepare,
            claims=lambda: (),
            now_ms=SteadyClock().now_ms,
        )
        self.driver = Driver(ports, Settings())
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.driver.run()
        finally:
            self._store.close()

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

    def close(self) -> None:
        self.driver.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


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
