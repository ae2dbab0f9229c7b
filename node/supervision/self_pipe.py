"""What a main thread sleeps on, and a signal handler wakes it by.

Not a `threading.Event`: its lock may be held by the very code that the handler interrupts, and then `set` in the
handler waits for ever. A pipe has no lock.
"""

import os
import select
from contextlib import suppress
from typing import Final

_BYTES_MAX: Final = 4096


class Wakeup:
    """Woken any number of times while nobody sleeps, the next sleep ends at once; only one thread sleeps."""

    def __init__(self) -> None:
        self._out, self._in = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def set(self) -> None:
        """End the sleep. For signal handlers and other threads."""
        with suppress(BlockingIOError):
            os.write(self._in, b"\0")

    def wait(self, timeout_s: float) -> None:
        """Sleep until woken, or until the time is over."""
        select.select([self._out], [], [], max(0.0, timeout_s))
        with suppress(BlockingIOError):
            os.read(self._out, _BYTES_MAX)

    def close(self) -> None:
        """Give the pipe back. Nothing may wake it any more."""
        os.close(self._out)
        os.close(self._in)
