"""A leader that proposes two blocks in one view, and votes for both."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import Proposal, Vote
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey


class Equivocator(Adversary):
    """Sends the twin of every new block, before or after the block itself."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._twins: dict[bytes, bytes] = {}

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if isinstance(message, Proposal) and not message.is_reproposal:
            header = message.block.header
            twin = self.wire.block(replace(header, time_ms=header.time_ms + 1))
            self._twins[message.block.digest] = twin.digest
            both = [value, self.signed(replace(message, block=twin))]
            self.random.shuffle(both)
            return both
        if isinstance(message, Vote) and message.digest in self._twins:
            return [value, self.signed(replace(message, digest=self._twins[message.digest]))]
        return [value]
