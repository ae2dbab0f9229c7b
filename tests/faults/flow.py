"""Payments that keep coming, whatever happens to the log: one client with its outbox, one thread."""

import threading
import time
from collections.abc import Callable
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from client import Client, ClientSettings, Submission
from tests.patience import WAIT_S
from tests.recovery.payments import Payments

VALID_MS: Final = 50 * 60 * 1000
IN_FLIGHT_MAX: Final = 3_000


class Flow:
    """Payments 0, 1, 2, ... of one client that reaches the log directly, while the block `flowing` runs.

    The same transaction is submitted once; what the log did not acknowledge, or lost, goes again from the outbox.
    """

    def __init__(self, home: Path) -> None:
        settings = ClientSettings(batch_max=10, unresolved_max=IN_FLIGHT_MAX)
        self._client = Client.at_home(home, settings)
        self.payments = Payments(self._client.genesis, time.time_ns() // 1_000_000 + VALID_MS)
        self.submissions: list[Submission] = []
        self._per_s: float = 0
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: Exception | None = None

    def open(self) -> None:
        """The asset and everybody's funds are final, so what follows can be paid in any order."""
        self._client.wait(self._client.submit_all(self.payments.opening()), WAIT_S)

    def start(self, per_s: float) -> None:
        """Payments at this rate from now on; `inf`: as fast as IN_FLIGHT_MAX lets them."""
        self.pause()
        self._per_s = per_s
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """No more payments; those submitted are on their way."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(WAIT_S)
            assert not self._thread.is_alive(), "nothing becomes final any more, so the client takes nothing more"
            self._thread = None

    def until_delivered(self) -> None:
        """Pause, and wait until the log has acknowledged every payment, whether it is final or not."""
        self.pause()
        self._client.wait(self.submissions, WAIT_S, until="delivered")

    def until_final(self, further: int) -> None:
        """Wait until as many of the payments submitted from now on are final."""
        first = len(self.submissions)
        self._until(
            lambda: sum(payment.height is not None for payment in self.submissions[first:]) >= further,
            f"{further} further payments are not final",
        )

    def until_submitted(self, further: int) -> None:
        """Wait until as many further payments were submitted, or the client has IN_FLIGHT_MAX that are not final."""
        end = len(self.submissions) + further
        self._until(
            lambda: len(self.submissions) >= end or self._in_flight() >= IN_FLIGHT_MAX,
            f"{further} further payments are not submitted",
        )

    def settle(self) -> int:
        """Pause, and wait until every payment is final; how many there are."""
        self.pause()
        self._client.wait(self.submissions, WAIT_S)
        failed = [payment.failure for payment in self.submissions if payment.failure is not None]
        assert failed == []
        return len(self.submissions)

    def final_between(self, from_s: float, to_s: float) -> int:
        """How many payments became final in a span of `time.monotonic`."""
        return sum(from_s < (payment.final_at or 0.0) <= to_s for payment in self.submissions)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._client.close(0.0)
        if self._thread is not None:
            self._thread.join(WAIT_S)

    def _in_flight(self) -> int:
        progress = self._client.progress
        return progress.submitted - progress.final - progress.failed

    def _until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            assert self._error is None, repr(self._error)
            assert time.monotonic() < deadline, f"{what} within {WAIT_S:g} s; {self._client.progress}"
            time.sleep(0.02)

    def _run(self) -> None:
        try:
            self._pay()
        except Exception as error:
            self._error = error
            raise

    def _pay(self) -> None:
        start, first = time.monotonic(), len(self.submissions)
        for number in count(first):
            if self._stop.wait(max(0.0, start + (number - first) / self._per_s - time.monotonic())):
                return
            self._submit(number)

    def _submit(self, number: int) -> None:
        self.submissions.append(self._client.submit(self.payments.payment(number)))
