"""A leader that leaves out what it does not like: no block of its own ever advances partition 0."""

from dataclasses import replace

from consensus.wire.messages import Proposal
from simulation.adversaries.skipper import Knowing


class Censor(Knowing):
    """Says nothing where nothing else would be left of its block."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        parent = self.parent(message) if isinstance(message, Proposal) else None
        if not isinstance(message, Proposal) or parent is None:
            return [value]
        heads = (parent.header.heads[0], *message.block.header.heads[1:])
        if heads == parent.header.heads:
            return []
        return [self.proposal(message, replace(message.block.header, heads=heads))]
