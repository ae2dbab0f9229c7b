"""A validator that proves in `blocks`, with signatures that are good, what they do not prove."""

from collections import defaultdict
from dataclasses import replace
from random import Random
from typing import Final

from consensus.wire.final_blocks import DESCENDANTS_MAX, BlockReader, Proven, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Vote
from ledger.committee import Committees
from ledger.genesis import Genesis
from simulation.adversaries.skipper import Knowing
from simulation.parts.signatures import MemoKey, verify_memoised

HEARD_MAX: Final = 40
"""Views whose votes it remembers."""


class FalseProver(Knowing):
    """A header of its own below a block that is final, as if that were its child; noise there; far more headers than a
    proof may have; a notarization in the place of a finalization, for a block that may never be final."""

    def __init__(self, genesis: Genesis, index: int, key: MemoKey, random: Random) -> None:
        super().__init__(genesis, index, key, random)
        self._reader = BlockReader(genesis, Committees.of(genesis), verify_memoised)
        self._votes: dict[tuple[int, bytes], dict[int, bytes]] = defaultdict(dict)

    def on_record(self, topic: str, value: bytes) -> None:
        super().on_record(topic, value)
        message = self.wire.decode(value)
        if isinstance(message, Vote) and message.kind is Kind.NOTARIZE and self.wire.is_authentic(message):
            self._votes[message.view, message.digest][message.validator] = message.signature
            while len(self._votes) > HEARD_MAX:
                del self._votes[next(iter(self._votes))]

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        proven = self._reader.read(value) if topic == self.genesis.topic_name("blocks") else None
        if not isinstance(proven, Proven):
            return [value]
        words = [*self._below(proven), *self._notarized()]
        return [*self.random.sample(words, min(2, len(words))), value]

    def _below(self, proven: Proven) -> list[bytes]:
        final, block = proven.finalization, proven.block
        descendants = (block, *proven.descendants)
        forged = self.wire.block(replace(block.header, time_ms=block.header.time_ms + 1))
        noise = replace(block, header_bytes=self.random.randbytes(60))
        proofs = (descendants, (noise, *descendants), (noise,) * (DESCENDANTS_MAX + 1))
        return [encode_block(forged.header_bytes, self._reader.prove(final, blocks)) for blocks in proofs]

    def _notarized(self) -> list[bytes]:
        """The newest block that a quorum has notarized, before anybody knows whether it is final."""
        committee = Committees.of(self.genesis).current
        for (view, digest), votes in reversed(self._votes.items()):
            block = self.blocks.get(digest)
            if block is not None and committee.is_quorum(votes):
                return [self._as_final(block, view, tuple(sorted(votes.items())))]
        return []

    def _as_final(self, block: Block, view: int, signatures: tuple[tuple[int, bytes], ...]) -> bytes:
        made = Certificate(Kind.NOTARIZE, block.header.epoch, view, block.digest, signatures)
        return encode_block(block.header_bytes, self._reader.prove(made, ()))
