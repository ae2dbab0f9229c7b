"""Answers: a certificate is said again rarely, however often somebody asks for it."""

from collections import defaultdict, deque
from typing import Final

from consensus.wire.messages import Certificate, Message
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator

WINDOW_MS: Final = 4_000
TIMES_MAX: Final = 12
"""In so long: once a second and once more on a stall, to who is behind the last finalization, and to who is behind our
view; and what a process that was paused let out late."""


class Answers(Checker):
    """Counts, for each life of a validator, how often one certificate leaves it in a while."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._said: dict[tuple[int, int, str, int], deque[int]] = defaultdict(deque)
        """When, by process, life, kind and view."""

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if not isinstance(message, Certificate):
            return
        now_ms = self.subject.log.now_ms
        said = self._said[validator.seat, validator.life, message.kind.name, message.view]
        said.append(now_ms)
        while said[0] <= now_ms - WINDOW_MS:
            said.popleft()
        if len(said) > TIMES_MAX:
            what = f"the {message.kind.name} certificate of view {message.view}"
            raise Violation(f"{validator.name} says {what} {len(said)} times in {WINDOW_MS} ms")
