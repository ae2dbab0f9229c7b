"""A validator that certifies states that there never were."""

from dataclasses import replace
from random import Random

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointSignature, CheckpointWire, Claim
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.adversaries import Adversary
from simulation.parts.signatures import MemoKey, verify_memoised


class StateLiar(Adversary):
    """Signs another state, both states, or makes a certificate of another state out of its own signature alone."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._checkpoints = CheckpointWire(genesis, Committees.of(genesis), verify_memoised)

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        message = self._checkpoints.decode(value)
        if not isinstance(message, CheckpointSignature):
            return [value]
        checkpoint = replace(message.claim.checkpoint, state_root=self.random.randbytes(32))
        other = self._checkpoints.claim(checkpoint)
        lie = CheckpointSignature(other, self.index, self._key.sign(self._checkpoints.signing_bytes(other)))
        words = [
            self._checkpoints.encode(lie),
            *map(self._checkpoints.encode, self._certificates(other, lie.signature)),
        ]
        return [value, *words] if self.random.randrange(2) else words

    def _certificates(self, claim: Claim, signature: bytes) -> list[CheckpointCertificate]:
        """Without a quorum, and with signatures of others that are none."""
        members = range(len(self.genesis.validators))
        return [
            CheckpointCertificate(claim, ((self.index, signature),)),
            CheckpointCertificate(claim, tuple((member, signature) for member in members)),
        ]
