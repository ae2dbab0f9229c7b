"""A validator that votes for two blocks in a view, one of which nobody knows, or which another leader proposed."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import Kind, Proposal, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class DoubleVoter(Adversary):
    """Beside each notarize and each finalize vote one of the same kind and view for another block."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._last = random.randbytes(32)

    def on_record(self, topic: str, value: bytes) -> None:
        message = self.wire.decode(value)
        if isinstance(message, Proposal):
            self._last = message.block.digest

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is Kind.NULLIFY:
            return [value]
        other = self.random.randbytes(32) if message.digest == self._last else self._last
        words = [value, self.signed(replace(message, digest=other))]
        self.random.shuffle(words)
        return words
