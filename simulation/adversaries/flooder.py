"""A validator that says very much: everything many times over, and a new vote for every one of many blocks."""

from dataclasses import replace
from random import Random
from typing import Final

from consensus.wire.messages import Kind, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

WORDS_MAX: Final = 3_000
"""In one world; the rest of it shall be as long as any other's."""


class Flooder(Adversary):
    """Ten votes a vote, each for another block and well signed, and ten copies of one that is not."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._said = 0

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is Kind.NULLIFY or self._said >= WORDS_MAX:
            return [value]
        others = [self.signed(replace(message, digest=self.random.randbytes(32))) for _ in range(10)]
        unsigned = self.wire.encode(replace(message, signature=self.random.randbytes(64)))
        words = [value, *others, *[unsigned] * 10]
        self._said += len(words)
        return words
