"""A validator whose words reach only some: half of what it says is kept from half of the others, for good."""

from consensus.wire.messages import Proposal
from simulation.adversaries import Adversary


class Withholder(Adversary):
    """The log colludes with it."""

    def hides(self, value: bytes, reader: int) -> bool:
        return self.random.randrange(4) == 0


class OneSided(Adversary):
    """Its proposals are lost half of the time; all else it says reaches validators of even index only."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        is_lost = isinstance(self.wire.decode(value), Proposal) and self.random.randrange(2) == 0
        return [] if is_lost else [value]

    def hides(self, value: bytes, reader: int) -> bool:
        return reader % 2 == 1
