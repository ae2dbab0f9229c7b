"""Watching what a process depends on, and whether its work goes on; once a second, and told in its pulse.

Each dependency is asked in a thread of its own: one that does not answer holds up neither the process nor what it says.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from node.home.pulse import ERROR_CHARACTERS_MAX, Part, Pulse, monotonic_ms, read_pulse, write_pulse
from node.process.repeating import repeating

PULSE_S: Final = 1.0
SLOW_MS: Final = 2_000
"""An answer that takes longer is none: nothing that waits for it keeps up."""

Clock = Callable[[], int]


class Dependency:
    """Whether something answers, as those who use it find. Any thread may tell."""

    def __init__(self, now_ms: Clock = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._part = Part(now_ms())

    @contextmanager
    def asked(self) -> Iterator[None]:
        """It answers while the body runs, or too late."""
        began_ms = self._now_ms()
        yield
        took_ms = self._now_ms() - began_ms
        if took_ms < SLOW_MS:
            self._part = Part(self._now_ms())
        else:
            self.failed(f"too slow, it took {took_ms / 1000:.1f} s to answer")

    def failed(self, error: object) -> None:
        """It answered with an error, or not in its time."""
        self._part = Part(self._part.well_ms, " ".join(str(error).split())[:ERROR_CHARACTERS_MAX])

    def part(self) -> Part:
        """As of now."""
        return self._part


class Work:
    """Whether work goes on, by looking at how far it is, again and again; by one thread."""

    def __init__(self, before: Part | None = None, now_ms: Clock = monotonic_ms) -> None:
        """`before`: what an earlier process said last. Work that had stopped then, and is no further, still has."""
        self._now_ms = now_ms
        self._part = before if before is not None and before.well_ms <= now_ms() else None

    @property
    def well_ms(self) -> int:
        """When it last went on, or had nothing to do."""
        return self._now_ms() if self._part is None else self._part.well_ms

    def part(self, mark: int, waiting: int, error: str = "") -> Part:
        """`mark` changes with each step; `waiting`: how much there is to do."""
        before = self._part
        stands = before is not None and waiting > 0 and mark == before.mark
        well_ms = before.well_ms if stands and before is not None else self._now_ms()
        self._part = Part(well_ms, error[:ERROR_CHARACTERS_MAX] if stands else "", waiting, mark)
        return self._part


class Failing:
    """Whether something that is tried again and again fails each time, by its count of failures; by one thread."""

    QUIET_MS: Final = 3_000
    """Without another failure for so long, the last one is over."""

    def __init__(self, now_ms: Clock = monotonic_ms) -> None:
        self._now_ms = now_ms
        self._count = 0
        self._failed_ms: int | None = None
        self._well_ms = now_ms()

    def part(self, count: int, error: str) -> Part:
        """With how many failures there have been."""
        now_ms = self._now_ms()
        if count != self._count:
            self._count, self._failed_ms = count, now_ms
        if self._failed_ms is None or now_ms - self._failed_ms >= self.QUIET_MS:
            self._failed_ms, self._well_ms = None, now_ms
            return Part(now_ms)
        return Part(self._well_ms, error[:ERROR_CHARACTERS_MAX])


@contextmanager
def asking(
    name: str, ask: Callable[[], object], dependency: Dependency, errors: tuple[type[Exception], ...]
) -> Iterator[None]:
    """While the body runs: ask once a second, however long an answer takes."""

    def once() -> None:
        try:
            with dependency.asked():
                ask()
        except errors as error:
            dependency.failed(error)

    with repeating(f"ask {name}", once, PULSE_S):
        yield


Parts = Callable[[], Mapping[str, Part]]


@contextmanager
def pulsing(
    file: Path,
    parts: Parts,
    problems: Callable[[], Sequence[str]] = tuple,
    silent: Callable[[], Sequence[str]] = tuple,
) -> Iterator[None]:
    """Write the pulse once a second while the body runs. Where the disk refuses, it ages, and others see that."""

    def once() -> None:
        pulse = Pulse(monotonic_ms(), os.getpid(), parts(), tuple(problems()), tuple(silent()))
        with suppress(OSError):
            write_pulse(file, pulse)

    with repeating("pulse", once, PULSE_S):
        yield


def part_before(file: Path, name: str) -> Part | None:
    """What the pulse of an earlier process said of a part."""
    pulse = read_pulse(file)
    return None if pulse is None else pulse.parts.get(name)
