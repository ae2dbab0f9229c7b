"""When a partition is looked at that the log was seen not to continue, and what follows from what is seen."""

from collections.abc import Callable, Mapping
from typing import Final

from backbone.intake.open_reader import OpenReader
from backbone.intake.partition import Partition
from backbone.intake.parts import IntakeParts
from backbone.intake.probe import look_at
from backbone.intake.reports import Shown
from backbone.log import LogUnavailable
from ledger.backoff import Backoff

PROBE_MS: Final = 1_000
"""How soon a suspect partition is looked at again; later and later while nothing changes."""
PROBE: Final = Backoff(PROBE_MS, 16_000)
SILENCE: Final = 4
"""After looks that were not answered there are none for so many times as long, whoever asks: others are read then."""
SILENCE_MS_MAX: Final = 60_000


class Suspects:
    """Of `partitions`, those that are suspect; `reader` is closed where one is opened or barred."""

    def __init__(
        self, parts: IntakeParts, partitions: Mapping[int, Partition], reader: OpenReader, now_ms: Callable[[], int]
    ) -> None:
        self._log, self._topic, self._stored = parts.log, parts.topic, parts.stored
        self._partitions = partitions
        self._reader = reader
        self._now_ms = now_ms

    def look(self) -> list[Shown]:
        """Look at each partition for which it is time; what is new.

        One that does not answer keeps no other waiting: what was seen is reported, what is open is read.
        """
        begin_ms = self._now_ms()
        found: list[Shown] = []
        silent: list[Partition] = []
        failure: LogUnavailable | None = None
        for state in self._partitions.values():
            if state.is_suspect and begin_ms >= max(state.probe_due_ms, state.silent_until_ms):
                try:
                    shown = self._look(state, begin_ms)
                except LogUnavailable as unavailable:
                    failure = unavailable
                    silent.append(state)
                else:
                    found += [] if shown is None else [shown]
        end_ms = self._now_ms()
        for state in silent:
            state.silent_until_ms = end_ms + min(max(PROBE_MS, SILENCE * (end_ms - begin_ms)), SILENCE_MS_MAX)
        if failure is not None and not found:
            raise failure
        return found

    def _look(self, state: Partition, now_ms: int) -> Shown | None:
        """Look, and go on as what was seen allows; None where nobody asked and nothing is new."""
        was_open, before, asked = state.is_open, state.shown, state.asked
        seen = look_at(state, self._log, self._topic, self._stored)
        state.on_look(seen.source, seen.opening, seen.diverged_at, is_readable=seen.is_readable, asked=asked)
        state.looks = state.looks + 1 if state.shown == before else 0
        state.probe_due_ms = now_ms + PROBE.wait(state.looks)
        if was_open != state.is_open:
            self._reader.close()
        if asked == state.answered and state.shown == before and state.diverged_at is None:
            return None
        state.answered = asked
        return Shown(state.number, state.incarnation, state.shown, state.diverged_at)
