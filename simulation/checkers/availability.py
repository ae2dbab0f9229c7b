"""Availability: who votes for a block holds its records, of every final block enough honest ones do, and what the log
shows is kept."""

from consensus.wire.messages import Kind, Message, Proposal, Vote
from ledger.header import Head
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.parts.validator import SimValidator


class Availability(Checker):
    """Who votes for a block, and who stores it as final, holds its records durably at that moment."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._heads: dict[bytes, tuple[Head, ...]] = {}

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal):
            self._heads[message.block.digest] = message.block.header.heads
        elif isinstance(message, Vote) and message.kind is Kind.NOTARIZE:
            heads = self._heads.get(message.digest)
            if heads is not None and not validator.store.holds(heads):
                raise Violation(f"v{validator.index} notarizes view {message.view} without holding the records")

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        heads = stored.block.header.heads
        if not validator.store.holds(heads):
            raise Violation(f"v{validator.index} stores height {stored.final.height} without its records")


class Holders(Checker):
    """Of every final block, validators of honest code with more than a third of all power hold the records, durably, by
    the time that the first of them stores it."""

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        heads = stored.block.header.heads
        powers = [member.power for member in self.subject.genesis.validators]
        held = sum(powers[honest.index] for honest in self.subject.honest if honest.store.holds(heads))
        if 3 * held <= sum(powers):
            raise Violation(f"height {stored.final.height} is final, but only {held} of {sum(powers)} hold its records")


class Keeping(Checker):
    """What is dropped must be read again, by all whom one liar talked into it: a log that was never rewritten, and that
    withheld nothing, gives no reason for it."""

    def on_second(self) -> None:
        if not self.subject.log.is_faithful:
            return
        for validator in self.subject.honest:
            if validator.store.dropped:
                raise Violation(f"{validator.name} dropped {validator.store.dropped} records that the log still shows")
