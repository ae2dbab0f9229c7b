"""Forges certificates and votes of others, under signatures that are none."""

from random import Random

from consensus.messages import EPOCH, NO_DIGEST, Certificate, Kind, Vote, Wire
from ledger.genesis import Genesis
from simulation.signatures import MemoKey, verify_memoised


class Forger:
    """Beside each vote of its own, votes of all others and a whole certificate."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        self._wire = Wire(genesis, verify_memoised)
        self._members = range(len(genesis.validators))
        self._index = index
        self._random = random

    def says(self, topic: str, value: bytes) -> list[bytes]:
        message = self._wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        kind = self._random.choice(list(Kind))
        digest = NO_DIGEST if kind is Kind.NULLIFY else max(message.digest, bytes(31) + b"1")
        signature = self._random.randbytes(64)
        votes = [Vote(kind, EPOCH, message.view, digest, member, signature) for member in self._members]
        others = [self._wire.encode(vote) for vote in votes if vote.validator != self._index]
        signatures = tuple((member, signature) for member in self._members)
        certificate = Certificate(kind, EPOCH, message.view, digest, signatures)
        return [value, self._wire.encode(certificate), *others]
