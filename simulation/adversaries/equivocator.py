"""A leader that proposes two blocks in one view, and votes for both."""

from dataclasses import replace
from random import Random

from consensus.messages import NO_DIGEST, Kind, Proposal, Vote, Wire
from ledger.genesis import Genesis
from simulation.signatures import MemoKey, verify_memoised


class Equivocator:
    """Sends the twin of every new block, before or after the block itself."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        self._wire = Wire(genesis, verify_memoised)
        self._key = key
        self._random = random
        self._twins: dict[bytes, bytes] = {}

    def says(self, topic: str, value: bytes) -> list[bytes]:
        message = self._wire.decode(value)
        if isinstance(message, Proposal) and not message.is_again:
            header = message.block.header
            twin = replace(message, block=self._wire.block(replace(header, time_ms=header.time_ms + 1)))
            self._twins[message.block.digest] = twin.block.digest
            both = [value, self._signed(twin)]
            self._random.shuffle(both)
            return both
        if isinstance(message, Vote) and message.digest in self._twins:
            return [value, self._signed(replace(message, digest=self._twins[message.digest]))]
        return [value]

    def _signed(self, message: Proposal | Vote) -> bytes:
        return self._wire.encode(replace(message, signature=self._key.sign(self._wire.signing_bytes(message))))


class DoubleVoter:
    """Votes for everything: whatever it finalizes it nullifies too, and the other way round."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        self._wire = Wire(genesis, verify_memoised)
        self._key = key

    def says(self, topic: str, value: bytes) -> list[bytes]:
        message = self._wire.decode(value)
        if not isinstance(message, Vote):
            return [value]
        nullify = replace(message, kind=Kind.NULLIFY, digest=NO_DIGEST)
        if message.kind is Kind.NULLIFY:
            return [value]
        finalize = replace(message, kind=Kind.FINALIZE)
        signed = [
            self._wire.encode(replace(vote, signature=self._key.sign(self._wire.signing_bytes(vote))))
            for vote in (finalize, nullify)
        ]
        return [value, *signed]


class Silent:
    """Says nothing at all."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        return None

    def says(self, topic: str, value: bytes) -> list[bytes]:
        return []
