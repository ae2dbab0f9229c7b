"""A validator that votes for everything: whatever it votes for, it finalizes and nullifies too."""

from dataclasses import replace

from consensus.messages import NO_DIGEST, Kind, Vote
from simulation.adversaries import Adversary


class DoubleVoter(Adversary):
    """Says finalize and nullify in every view."""

    def says(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is Kind.NULLIFY:
            return [value]
        finalize = replace(message, kind=Kind.FINALIZE)
        nullify = replace(message, kind=Kind.NULLIFY, digest=NO_DIGEST)
        return [value, self.signed(finalize), self.signed(nullify)]
