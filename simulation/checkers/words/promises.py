"""Promises: who voted for a block serves its records until that view is over, whatever the log shows meanwhile."""

from consensus.runtime.range_check import leads
from consensus.wire.messages import Block, Kind, Message, Proposal, Vote
from ledger.header import Head
from simulation.checkers.checker import Checker, Subject, Violation
from simulation.parts.validator import SimValidator


class Promises(Checker):
    """Asks once a second for what each vote above the last finalization promised, as others would: from the last final
    head up to the voted one, in its place or set aside, whole."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._blocks: dict[bytes, Block] = {}
        self._voted: dict[int, dict[int, bytes]] = {validator.index: {} for validator in subject.honest}
        """By validator and view: the digest that its notarize vote is for."""

    def on_appended(self, topic: str, value: bytes, message: Message) -> None:
        if isinstance(message, Proposal):
            self._blocks.setdefault(message.block.digest, message.block)

    def on_send(self, validator: SimValidator, value: bytes, message: Message) -> None:
        self.on_appended("", value, message)
        if isinstance(message, Vote) and message.kind is Kind.NOTARIZE:
            self._voted[validator.index][message.view] = message.digest

    def on_second(self) -> None:
        for validator in self.subject.honest:
            if validator.loop is not None:
                self._check(validator, validator.loop.core.state.views.final_view)

    def _check(self, validator: SimValidator, final_view: int) -> None:
        voted = self._voted[validator.index]
        for view in [view for view in voted if view <= final_view]:
            del voted[view]
        delivered = validator.delivered()
        for view, digest in voted.items():
            block = self._blocks.get(digest)
            if block is None or delivered is None:
                continue
            for before, target in zip(delivered.header.heads, block.header.heads, strict=True):
                if not _serves(validator, before, target):
                    raise Violation(f"{validator.name} voted in view {view} for {target}, and no longer serves it")


def _serves(validator: SimValidator, before: Head, target: Head) -> bool:
    """Whether the records between are held; of another incarnation, or of what is final, nothing is asked for."""
    if target.incarnation != before.incarnation or target.end_offset <= before.end_offset:
        return True
    found = validator.store.above(before, target)
    return found is not None and leads(before, found, target)
