"""Durability: nothing leaves, and nothing is stored, before the journal holds it."""

from consensus.wire.final_blocks import encode_block
from consensus.wire.messages import Message, Proposal, Vote
from simulation.checkers.checker import Checker, Stored, Violation
from simulation.parts.validator import SimValidator


class Durability(Checker):
    """Reads the bytes on the disk at the moment at which something leaves."""

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal | Vote) and not _holds(validator, value):
            raise Violation(f"v{validator.index} sends what its journal does not hold, in view {message.view}")

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        if not _holds(validator, encode_block(stored.final.header_bytes, stored.final.proof)):
            raise Violation(f"v{validator.index} stores height {stored.final.height} before its journal holds it")


def _holds(validator: SimValidator, value: bytes) -> bool:
    return validator.journal.data is not None and value in validator.journal.data
