"""A validator that agrees with everybody, and shows each side only what suits it: with enough of its kind, and a log
that keeps the sides apart, each side makes a chain of its own."""

from random import Random

from consensus.wire.messages import NO_DIGEST, Kind, Proposal, Vote
from ledger.committee import FIRST_EPOCH
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Accomplice(Adversary):
    """Notarizes and finalizes every proposal that it hears, and nullifies every view that anybody nullifies.

    Its nullify votes are for the validators of odd seats only, its finalize votes for those of even ones: whoever
    looks at one side alone sees nothing wrong.
    """

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._said: set[tuple[Kind, int, bytes]] = set()

    def on_record(self, topic: str, value: bytes) -> None:
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self._vote(Kind.NOTARIZE, message.view, message.block.digest)
            self._vote(Kind.FINALIZE, message.view, message.block.digest)
        elif isinstance(message, Vote) and message.kind is Kind.NULLIFY and message.validator != self.index:
            self._vote(Kind.NULLIFY, message.view, NO_DIGEST)

    def hides(self, value: bytes, reader: int) -> bool:
        message, side = self.wire.decode(value), self.side_of(reader)
        if side is None or not isinstance(message, Vote):
            return False
        is_for_odd = message.kind is Kind.NULLIFY
        return message.kind is not Kind.NOTARIZE and (side == 1) != is_for_odd

    def _vote(self, kind: Kind, view: int, digest: bytes) -> None:
        if (kind, view, digest) not in self._said:
            self._said.add((kind, view, digest))
            self.send(self.signed(Vote(kind, FIRST_EPOCH, view, digest, self.index)))
