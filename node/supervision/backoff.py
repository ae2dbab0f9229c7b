"""When a crashed process may start again: at once it seems to work, ever later while it does not."""

from ledger.backoff import Backoff
from node.settings.tree import SupervisorSettings


class Restarts:
    """The back-off of one process. Times are seconds of a monotonic clock."""

    def __init__(self, settings: SupervisorSettings) -> None:
        self._settings = settings
        self._in_a_row = 0

    def wait_s(self, ran_s: float) -> float:
        """How long to wait after a crash of a process that ran `ran_s`."""
        if ran_s * 1000 >= self._settings.steady_ms:
            self._in_a_row = 0
        wait_ms = Backoff(self._settings.backoff_ms, self._settings.backoff_max_ms).wait(self._in_a_row)
        self._in_a_row += 1
        return wait_ms / 1000
