"""What a process computes takes virtual time: one core, on which its threads follow each other.

Work is counted in microseconds of a core that takes what the tables of docs/performance-tuning.md say; a world's
`slowness` is how many times as long its cores take. Durable writes and the log have times of their own
(`simulation.threads.world`, `simulation.threads.log`).
"""

from collections.abc import Callable
from typing import Final

from simulation.threads.scheduler import Scheduler

VERIFY_US: Final = 160
"""An Ed25519 signature."""
RECORD_US: Final = 15
"""A record: decoded, looked up, counted."""
BYTE_NS: Final = 10
"""A byte of it: fetched, copied, hashed."""


def record_us(value: bytes | None) -> int:
    """What one record costs whoever reads or takes it, beside signatures."""
    return RECORD_US + len(value or b"") * BYTE_NS // 1000


class Processor:
    """The core of one process. Work is done at once and paid for at the next `pay`: the core itself knows no time."""

    def __init__(self, scheduler: Scheduler, slowness: Callable[[], int]) -> None:
        """`slowness`: 0: work takes no time."""
        self.verified_us = 0
        """Spent on signatures since the process began, on a core of slowness 1."""
        self._scheduler = scheduler
        self._slowness = slowness
        self._owed_us = 0
        self._free_us = 0
        """From when on the core has nothing to do."""

    def verifying(self, verify: Callable[[bytes, bytes, bytes], bool]) -> Callable[[bytes, bytes, bytes], bool]:
        """As `verify`, and it costs."""

        def metered(public_key: bytes, message: bytes, signature: bytes) -> bool:
            self.verified_us += VERIFY_US
            self._owed_us += VERIFY_US
            return verify(public_key, message, signature)

        return metered

    def spend(self, us: int) -> None:
        """So much work, on a core of slowness 1."""
        self._owed_us += us

    def pay(self) -> None:
        """Let the time pass that the work takes, behind what other threads of the process have still to pay.

        Raises: Killed.
        """
        scheduler = self._scheduler
        owed_us, self._owed_us = self._owed_us * self._slowness(), 0
        now_us = scheduler.agenda.now_ms * 1000
        self._free_us = max(now_us, self._free_us) + owed_us
        if scheduler.is_in_thread:
            scheduler.sleep((self._free_us - now_us) // 1000)
