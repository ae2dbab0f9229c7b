"""The driver's turns: whatever waits when one begins, all of it is taken, once and in order, and errors surface."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from threading import Event
from threading import enumerate as threads

import pytest

from backbone.intake.intake import Advance
from backbone.store import Entry, StoreFailed
from tests.builders import genesis
from tests.driver_bench import DriverBench, QuietIntake
from tests.flaky_log import FlakyLog
from tests.patience import WAIT_S


def advance(number: int) -> Advance:
    return Advance(0, 0, (Entry(number + 1, bytes(32), 1),))


class ScriptedIntake(QuietIntake):
    """Says one batch after the other once the loop waits; then what it is told to: nothing, or an error."""

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


class Driven(DriverBench):
    """Its loop waits until the intake has said its all."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch, batches: int, error: Exception | None = None):
        self.taken: list[object] = []
        self.intake = ScriptedIntake(batches, error)
        chain = genesis(1)
        super().__init__(home, monkeypatch, chain, FlakyLog(), self.intake, self.taken.append, self._stand_still)

    def _stand_still(self) -> int:
        """As long as the reading threads find anything: a loop that was slow to come back."""
        self.intake.may_begin.set()
        wait_for(lambda: self.intake.is_said.is_set() or not any(thread.name == "intake" for thread in threads()))
        return 0


def wait_for(is_so: Callable[[], bool]) -> bool:
    pause = Event()
    for _ in range(WAIT_S * 200):
        if is_so():
            return True
        pause.wait(0.005)
    return False


# As many as waited for a loop that had waited, up to all that the queue held, and then some.
@pytest.mark.parametrize("batches", [1, 31, 32, 33, 34, 40, 63])
def test_whatever_waits_for_a_turn_is_taken_once_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batches: int
) -> None:
    driven = Driven(tmp_path, monkeypatch, batches)
    wait_for(lambda: driven.intake.is_said.is_set() and len(driven.taken) >= batches)
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
