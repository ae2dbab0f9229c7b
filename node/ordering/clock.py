"""The order process's clock, and what it says of it in `run/clock`: 8 bytes, how many milliseconds the wall clock is
ahead (i64, big-endian) of the time of day that is followed, where it is doubted; else 0. Written at once, so that a
reader sees all of it or none.
"""

import os
import time
from pathlib import Path
from struct import Struct
from typing import Final

from consensus.runtime.clock import SteadyClock

_CLOCK: Final = Struct(">q")


class ToldClock:
    """A clock that says in a file what others should know of it. One thread at a time, but for what is read."""

    def __init__(self, path: Path, block_time_ms: int, clock: SteadyClock | None = None) -> None:
        """`block_time_ms`: of the last final block that the store holds; 0 without one. Raises: OSError."""
        self.steady: Final = clock or SteadyClock()
        self.block_time_ms = block_time_ms
        self.doubted_ms = 0
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        self._write()

    def ahead_ms(self) -> int:
        """`SteadyClock.ahead_ms`."""
        ahead_ms = self.steady.ahead_ms()
        if self.steady.doubted_ms // 1000 != self.doubted_ms // 1000:
            self.doubted_ms = self.steady.doubted_ms
            self._write()
        return ahead_ms

    def on_final(self, block_time_ms: int) -> None:
        """A final block bears this time."""
        self.steady.vouch(block_time_ms)
        self.block_time_ms = block_time_ms

    def close(self) -> None:
        """Close the file."""
        os.close(self._descriptor)

    def _write(self) -> None:
        os.pwrite(self._descriptor, _CLOCK.pack(self.doubted_ms), 0)


def read_doubted_ms(path: Path) -> int:
    """What the order process has said last. Raises: OSError."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return 0
    return int(_CLOCK.unpack(raw)[0]) if len(raw) == _CLOCK.size else 0


def what_is_wrong(block_time_ms: int, doubted_ms: int, drift_ms: int, wall_ms: int | None = None) -> list[str]:
    """Sentences for a person; none while the last final block's time, the wall clock and what is followed agree."""
    ahead_ms = block_time_ms - (time.time_ns() // 1_000_000 if wall_ms is None else wall_ms)
    found = []
    if ahead_ms > drift_ms:
        found.append(
            f"The chain's time is {_span(ahead_ms)} ahead of this machine's clock. Where the clock is wrong, set it "
            'right; where it is right, see "A chain whose time is ahead" in docs/recovery.md.'
        )
    if doubted_ms:
        way = "ahead" if doubted_ms > 0 else "back"
        found.append(
            f"This machine's clock was set {_span(abs(doubted_ms))} {way} while the node ran, and is doubted: the node "
            "goes on by the clock of before. Where it is wrong, set it right; where it is right, restart the node."
        )
    return found


def _span(duration_ms: int) -> str:
    """In the largest unit that is not below one."""
    seconds = duration_ms / 1000
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds >= size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"
