"""The driver's turns: whatever waits when one begins, all of it is taken, once and in order, and errors surface."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event, Thread
from threading import enumerate as threads
from typing import Any

import pytest

from backbone.intake import Advance
from backbone.store import Entry, StoreFailed, StoreReader, StoreWriter
from consensus.clock import SteadyClock
from consensus.driver import Driver
from consensus.journal_file import create
from consensus.loop import Loop
from consensus.pace import Settings
from consensus.ports import Ports
from tests.builders import genesis, validator_key
from tests.flaky_log import FlakyLog

WAIT_S = 20


def advance(number: int) -> Advance:
    return Advance(0, 0, (Entry(number + 1, bytes(32), 1),))


class ScriptedIntake:
    """Says one batch after the other once the loop stands still; then what it is told to: nothing, or an error."""

    def __init__(self, batches: int, error: Exception | None = None) -> None:
        self.may_begin = Event()
        self.is_said = Event()
        """All of it, and handed over."""
        self._script: Iterator[Advance] = iter([advance(number) for number in range(batches)])
        self._error = error

    def pump(self, records_max: int, timeout_ms: int) -> Sequence[Advance]:
        self.may_begin.wait(WAIT_S)
        found = next(self._script, None)
        if found is None:
            if self._error is not None:
                raise self._error
            self.is_said.set()
            return []
        return [found]

    def backlog(self) -> Sequence[Advance]:
        return ()

    def on_final(self, heads: object, openings: object) -> None:
        return None

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nobody asks for {name}")


class Driven:
    """A driver in a thread; its loop notes what it is given, and stands still until the intake has said its all."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, batches: int, error: Exception | None = None):
        self.taken: list[object] = []
        self.error: Exception | None = None
        self.intake = ScriptedIntake(batches, error)
        taken = self.taken

        class Noting(Loop):
            def take(self, item: object, now_ms: int) -> None:
                taken.append(item)

        monkeypatch.setattr("consensus.driver.Loop", Noting)
        chain = genesis(1)
        create(home / "journal", chain.digest, validator_key(0).public_key)
        self._store = StoreWriter(home / "store")
        ports = Ports(
            genesis=chain,
            key=validator_key(0),
            log=FlakyLog(),
            store=self._store,
            store_reader=StoreReader(home / "store"),
            intake=self.intake,
            source=self.intake,
            journal_path=home / "journal",
            lag=self._stand_still,
            claims=lambda: (),
            now_ms=SteadyClock().now_ms,
        )
        self.driver = Driver(ports, Settings())
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _stand_still(self) -> int:
        """As long as the reading threads find anything: a loop that was slow to come back."""
        self.intake.may_begin.set()
        wait_for(lambda: self.intake.is_said.is_set() or not any(thread.name == "intake" for thread in threads()))
        return 0

    def _run(self) -> None:
        try:
            self.driver.run()
        except StoreFailed as error:
            self.error = error
        finally:
            self._store.close()

    def close(self) -> None:
        self.driver.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()


def wait_for(is_so: Callable[[], bool]) -> bool:
    pause = Event()
    for _ in range(WAIT_S * 200):
        if is_so():
            return True
        pause.wait(0.005)
    return False


# As many as waited for a loop that had stood still, up to all that the queue held, and then some.
@pytest.mark.parametrize("batches", [1, 31, 32, 33, 34, 40, 63])
def test_whatever_waits_for_a_turn_is_taken_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    driven = Driven(tmp_path, monkeypatch, batches)
    status = driven.driver.status
    wait_for(lambda: driven.intake.is_said.is_set() and status().get("queue") == 0)
    driven.close()
    assert driven.taken == [advance(number) for number in range(batches)]


@pytest.mark.parametrize("batches", [0, 31, 32, 33, 63])
def test_an_error_that_ends_reading_ends_the_driver_however_much_waits_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    driven = Driven(tmp_path, monkeypatch, batches, StoreFailed("the disk is full"))
    driven.thread.join(WAIT_S / 4)
    driven.close()
    assert str(driven.error) == "the disk is full"
