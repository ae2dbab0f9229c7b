"""A validator that says very much: a new vote for every one of many blocks, and bursts of votes that nobody signed."""

from dataclasses import replace
from random import Random
from typing import Final

from consensus.wire.messages import Kind, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey

WORDS_MAX: Final = 2_500
"""Before the heal, and again after it; the rest of a world shall be as long as any other's."""
OTHERS: Final = 10
BURST: Final = 600
VIEWS_AHEAD: Final = 48


class Flooder(Adversary):
    """Ten votes a vote, each for another block and well signed; now and then hundreds that are not, each of which costs
    whoever reads it the check of a signature."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._said = 0

    def on_heal(self) -> None:
        self._said = 0

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is Kind.NULLIFY or self._said >= WORDS_MAX:
            return [value]
        words = [value, *(self.signed(self._other(message)) for _ in range(OTHERS))]
        if self.random.randrange(3) == 0:
            words += [self._forged(message) for _ in range(BURST)]
        self._said += len(words)
        return words

    def _other(self, vote: Vote) -> Vote:
        return replace(vote, digest=self.random.randbytes(32))

    def _forged(self, vote: Vote) -> bytes:
        """Of a view that is not over so soon: of those that are, nobody checks a signature."""
        view = vote.view + self.random.randrange(VIEWS_AHEAD)
        return self.wire.encode(replace(self._other(vote), view=view, signature=self.random.randbytes(64)))
