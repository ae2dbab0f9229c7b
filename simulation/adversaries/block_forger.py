"""A validator that writes into `blocks` what was never final."""

from dataclasses import replace

from consensus.wire.final_blocks import BlockReader, Proven, encode_block
from consensus.wire.messages import Certificate
from ledger.committee import Committees
from simulation.adversaries.skipper import Knowing
from simulation.parts.signatures import verify_memoised


class BlockForger(Knowing):
    """With each block that it publishes: that height with another header, the heights above it, far above it, and the
    right header under proofs that are cut short, of another block, without a quorum, or signed by itself alone."""

    def outgoing(self, topic: str, value: bytes) -> list[bytes]:
        if topic != self.genesis.topic_name("blocks"):
            return [value]
        reader = BlockReader(self.genesis, Committees.of(self.genesis), verify_memoised)
        proven = reader.read(value)
        assert isinstance(proven, Proven), "the validator below it is honest"
        words = [*self._other_headers(proven), *self._other_proofs(proven, reader), value]
        self.random.shuffle(words)
        return words if self.random.randrange(4) else words[:-1]

    def _other_headers(self, proven: Proven) -> list[bytes]:
        """Headers that no quorum stands behind, under the proof of one that is final."""
        header, proof = proven.block.header, self._proof(proven)
        above = [
            replace(header, height=header.height + more, parent_digest=proven.block.digest, view=header.view + more)
            for more in (1, 2, 2_047, 2**40)
        ]
        others = [replace(header, time_ms=header.time_ms + 1), *above]
        return [encode_block(self.wire.block(other).header_bytes, proof) for other in others]

    def _other_proofs(self, proven: Proven, reader: BlockReader) -> list[bytes]:
        final, signatures = proven.finalization, proven.finalization.signatures
        own = tuple(pair for pair in signatures if pair[0] == self.index)
        random = self.random.randbytes(64)
        finalizations: list[Certificate] = [
            replace(final, signatures=own or signatures[:1]),
            replace(final, signatures=tuple((member, random) for member, _ in signatures)),
            replace(final, view=final.view + 1),
        ]
        proofs = [reader.prove(forged, proven.descendants) for forged in finalizations]
        proofs.append(reader.prove(final, (*proven.descendants, proven.block)))
        proofs.append(self._proof(proven)[: self.random.randrange(100)])
        words = [encode_block(proven.block.header_bytes, proof) for proof in proofs]
        return [*words, *self._proposed_as_final(proven)]

    def _proposed_as_final(self, proven: Proven) -> list[bytes]:
        """A block that was only proposed, under the proof of another."""
        proposed = [block for block in self.blocks.values() if block.header.height == proven.block.header.height + 1]
        return [encode_block(block.header_bytes, self._proof(proven)) for block in proposed[-1:]]

    def _proof(self, proven: Proven) -> bytes:
        return BlockReader(self.genesis, Committees.of(self.genesis)).prove(proven.finalization, proven.descendants)
