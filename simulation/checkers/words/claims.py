"""Claims of the state: who signed one that is not certified says so when it starts, and before it stops over it."""

import re
from collections.abc import Sequence
from typing import Final

from consensus.runtime.errors import ForkFound
from consensus.wire.checkpoint_messages import CheckpointMessage, CheckpointSignature
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.mishaps import entries
from simulation.parts.validator import SimValidator

_CLAIMED: Final = 6
_FORK: Final = re.compile(r"The state of height (\d+) ")


class Claims(Checker):
    """Reads from the journal's bytes what was signed: of two halves that contradict each other each must hear the
    other, and what was signed and not heard may be what lacks to a certificate."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._owed: dict[int, int] = {}
        """By seat, the height that its journal held as signed when it started; until its first turn is over."""

    def on_up(self, validator: SimValidator) -> None:
        if self.subject.is_honest(validator):
            self._owed[validator.seat] = _claimed(validator)

    def on_checkpoint(self, validator: SimValidator, value: bytes, message: CheckpointMessage) -> None:
        if isinstance(message, CheckpointSignature) and message.claim.height >= self._owed.get(validator.seat, 0):
            self._owed.pop(validator.seat, None)

    def on_heard(self, validator: SimValidator, values: Sequence[bytes], view: int) -> None:
        height = self._owed.pop(validator.seat, 0)
        if height > _certified(validator):
            raise Violation(f"{validator.name} signed the checkpoint {height}, and does not say so when it starts")

    def on_halt(self, validator: SimValidator) -> None:
        found = _FORK.match(str(validator.halted)) if isinstance(validator.halted, ForkFound) else None
        height = 0 if found is None else int(found[1])
        if height > max(_certified(validator), _claimed(validator)):
            raise Violation(f"{validator.name} stops over the checkpoint {height}, and has not said its own word")


def _claimed(validator: SimValidator) -> int:
    """The height of the last checkpoint that its journal holds as signed; 0 before the first."""
    signed = [
        int.from_bytes(body[:8], "big") for kind, body in entries(validator.journal.data or b"") if kind == _CLAIMED
    ]
    return signed[-1] if signed else 0


def _certified(validator: SimValidator) -> int:
    return validator.store.certificates[-1][0] if validator.store.certificates else 0
