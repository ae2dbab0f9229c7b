"""A validator that nullifies and finalizes every view that it votes in."""

from dataclasses import replace

from consensus.wire.messages import NO_DIGEST, Kind, Vote
from simulation.adversaries import Adversary


class NullifyAndFinalize(Adversary):
    """Says finalize and nullify in every view."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote) or message.kind is Kind.NULLIFY:
            return [value]
        finalize = replace(message, kind=Kind.FINALIZE)
        nullify = replace(message, kind=Kind.NULLIFY, digest=NO_DIGEST)
        return [value, self.signed(finalize), self.signed(nullify)]
