"""A leader that takes its time: its proposals come just before, or after, everybody's patience is over."""

from consensus.wire.messages import Proposal
from simulation.adversaries import Adversary


class SlowLeader(Adversary):
    """All else it says comes at once."""

    def holds_back_ms(self, value: bytes) -> int:
        if not isinstance(self.wire.decode(value), Proposal):
            return 0
        return self.random.choice((300, 900, 990, 1_010, 2_500))
