"""A validator that speaks of views that are far off."""

from dataclasses import replace

from consensus.wire.messages import NO_DIGEST, VIEW_MAX, Kind, Vote
from simulation.adversaries import Adversary


class FarFuture(Adversary):
    """With each vote of its own, votes in views ahead, near and far."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        ahead = (1, 2, 63, 64, 65, 1_000, VIEW_MAX - message.view)
        views = [message.view + self.random.choice(ahead) for _ in range(3)]
        votes = [replace(message, view=view, kind=Kind.NULLIFY, digest=NO_DIGEST) for view in views]
        return [value, *map(self.signed, votes)]
