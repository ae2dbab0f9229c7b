"""A validator whose words belong elsewhere: to another chain with the same validators, or to another epoch."""

from dataclasses import replace
from random import Random

from consensus.wire.messages import NO_DIGEST, Kind, Vote, Wire
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Epoch
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey, verify_memoised


class Foreigner(Adversary):
    """With each vote that it casts, the contrary vote of another chain and of another epoch, well signed there."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._abroad = Wire(replace(genesis, digest=random.randbytes(32)), Committees.of(genesis), verify_memoised)

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self.wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        kind = Kind.FINALIZE if message.kind is Kind.NULLIFY else Kind.NULLIFY
        digest = NO_DIGEST if kind is Kind.NULLIFY else self.random.randbytes(32)
        contrary = replace(message, kind=kind, digest=digest)
        abroad = self._key.sign(self._abroad.signing_bytes(contrary))
        return [value, self._abroad.encode(replace(contrary, signature=abroad)), *self._of_other_epochs(contrary)]

    def _of_other_epochs(self, vote: Vote) -> list[bytes]:
        """Signed for the epoch that they name, and signed for it but naming ours."""
        other = replace(vote, epoch=Epoch(vote.epoch + 1))
        signature = self._key.sign(self.wire.signing_bytes(other))
        return [self.wire.encode(replace(word, signature=signature)) for word in (other, vote)]
