"""Payments at a steady pace, one transaction a record, in a thread of its own; and the times they take."""

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from client import Client, ClientSettings, Submission
from ledger.transaction import Transaction

PACE_PER_S = 100
WARM_UP = 50
UNBATCHED = ClientSettings(linger_ms=0, batch_max=1)
_END_S = 60.0


def pace(client: Client, payments: Iterable[Transaction], timeout_s: float) -> list[Submission]:
    """All of them at PACE_PER_S, final; without the first WARM_UP. Raises: NotFinal, ClientStopped."""
    submissions: list[Submission] = []
    start = time.monotonic()
    for number, transaction in enumerate(payments):
        time.sleep(max(0.0, start + number / PACE_PER_S - time.monotonic()))
        submissions.append(client.submit(transaction))
    client.wait(submissions, timeout_s)
    return submissions[WARM_UP:]


class Pacer:
    """Submits at PACE_PER_S while its block runs, however late the answers are."""

    def __init__(self, client: Client, payments: Iterable[Transaction]) -> None:
        """`payments`: more than the block can need."""
        self._client = client
        self._payments = payments
        self._submissions: list[Submission] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="momus-pacer", daemon=True)

    @property
    def count(self) -> int:
        """Payments submitted so far."""
        return len(self._submissions)

    def settle(self, timeout_s: float) -> None:
        """No more payments; wait until all are final. Raises: NotFinal, ClientStopped."""
        self._stop()
        self._client.wait(self._submissions, timeout_s)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop()

    def _stop(self) -> None:
        self._stopping.set()
        self._thread.join(_END_S)

    def _run(self) -> None:
        start = time.monotonic()
        for number, transaction in enumerate(self._payments):
            if self._stopping.wait(max(0.0, start + number / PACE_PER_S - time.monotonic())):
                return
            self._submissions.append(self._client.submit(transaction))
