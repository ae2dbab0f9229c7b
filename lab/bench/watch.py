"""Follows the final headers of a chain and notes when each finalization was seen."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from backbone.log import Log
from client.follower import Follower
from ledger.committee import Committees
from ledger.errors import Unavailable
from ledger.genesis import Genesis
from ledger.header import Header


class BenchFailed(Unavailable):
    """A measurement did not come to its end; the message says where it stopped."""


@dataclass(frozen=True, slots=True)
class Finalization:
    """A verified final header higher than all before it. `at_s` is of `time.monotonic`."""

    at_s: float
    height: int
    view: int
    proposer: int


class FinalWatch:
    """Every finalization from now on and before, in the order seen: heights and views rise."""

    def __init__(self, log: Log, genesis: Genesis, committees: Committees) -> None:
        self._changed = threading.Condition()
        self._found: list[Finalization] = []
        self._header: Header | None = None
        self._stopped = ""
        self._follower = Follower(log, genesis, committees, 0, lambda: True, self._on_header, self._on_stopped)
        self._follower.start()

    @property
    def view(self) -> int:
        """The view of the newest final header; 0 before the first."""
        with self._changed:
            return self._found[-1].view if self._found else 0

    def between(self, from_s: float, to_s: float) -> list[Finalization]:
        """Those seen in a span of `time.monotonic`."""
        with self._changed:
            return [found for found in self._found if from_s < found.at_s <= to_s]

    def until(self, is_enough: Callable[[Header], bool], what: str, timeout_s: float) -> Header:
        """The newest final header, once it is enough. Raises: BenchFailed, saying that `what` did not come."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._is(is_enough), timeout_s)
            if self._stopped or self._header is None or not is_enough(self._header):
                raise BenchFailed(self._stopped or f"{what} did not come within {timeout_s:g} s")
            return self._header

    def until_led_by(self, proposer: int, since_s: float, timeout_s: float) -> None:
        """Until a block that this validator proposed was seen final after a moment. Raises: BenchFailed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._has_led(proposer, since_s), timeout_s):
                raise BenchFailed(f"validator {proposer} led no final block within {timeout_s:g} s of its return")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._follower.stop()

    def _is(self, is_enough: Callable[[Header], bool]) -> bool:
        return self._header is not None and is_enough(self._header)

    def _has_led(self, proposer: int, since_s: float) -> bool:
        for found in reversed(self._found):
            if found.at_s <= since_s:
                return False
            if found.proposer == proposer:
                return True
        return False

    def _on_header(self, header: Header) -> None:
        now = time.monotonic()
        with self._changed:
            if self._header is None or header.height > self._header.height:
                self._header = header
                self._found.append(Finalization(now, header.height, header.view, header.proposer))
            self._changed.notify_all()

    def _on_stopped(self, why: str) -> None:
        with self._changed:
            self._stopped = why
            self._changed.notify_all()
