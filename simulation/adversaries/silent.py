"""A validator that is there and says nothing, or nothing as a leader."""

from consensus.wire.messages import Proposal
from simulation.adversaries import Adversary


class Silent(Adversary):
    """Says nothing at all."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        return []


class SilentLeader(Adversary):
    """Votes, but never proposes."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        return [] if isinstance(self.wire.decode(value), Proposal) else [value]
