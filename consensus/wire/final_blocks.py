"""Final blocks for those who follow: a header and the proof that it is final, verified with nothing but genesis."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from consensus.wire.messages import Block, Certificate, Kind, Verify, Wire
from ledger import digests
from ledger.block import FinalBlock
from ledger.committee import Committees
from ledger.encoding.canonical import Refused, read_bytes, read_long
from ledger.encoding.codec import Codec
from ledger.genesis import Genesis
from ledger.keys import verify
from ledger.rejection import Reason, Rejection

DESCENDANTS_MAX: Final = 256
"""Headers in one proof. No honest validator notarizes further than this above what it knows to be final."""

_BLOCK: Final = Codec("Block", "consensus")
_PROOF: Final = Codec("Proof", "consensus")


@dataclass(frozen=True, slots=True)
class Proven:
    """A final block with its proof taken apart: `descendants` lead from its child to the finalized block."""

    block: Block
    finalization: Certificate
    descendants: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Claimed:
    """A block, and the bytes of what is said to prove it final."""

    block: Block
    proof: bytes


def encode_block(header_bytes: bytes, proof: bytes) -> bytes:
    """The value of a record of `blocks`."""
    return _BLOCK.encode_single({"header": header_bytes, "proof": proof})


class BlockReader:
    """Reads records of `blocks` and proofs of one chain."""

    def __init__(self, genesis: Genesis, committees: Committees, verify_signature: Verify = verify) -> None:
        self._genesis_digest = genesis.digest
        self._wire = Wire(genesis, committees, verify_signature)
        self.value_bytes_max: Final = self._wire.message_bytes_max * (DESCENDANTS_MAX + 2)

    def prove(self, finalization: Certificate, descendants: Sequence[Block]) -> bytes:
        """The bytes of a proof."""
        bare = self._wire.encode(replace(finalization, proposal=None))
        return _PROOF.encode({"finalization": bare, "descendants": [block.header_bytes for block in descendants]})

    def look(self, value: bytes | None) -> Claimed | Rejection:
        """The block of a record's value, and no more: what it costs to refuse a proof that nobody needs."""
        if value is None:
            return Rejection(Reason.NULL_VALUE)
        fields = _BLOCK.decode_single(value, self.value_bytes_max)
        if isinstance(fields, Rejection):
            return fields
        block = self._wire.read_block(fields["header"])
        return block if isinstance(block, Rejection) else Claimed(block, fields["proof"])

    def read(self, value: bytes | None) -> Proven | Rejection:
        """The final block of a record's value: canonical, linked, a quorum of distinct good signatures."""
        claimed = self.look(value)
        return claimed if isinstance(claimed, Rejection) else self.take_apart(claimed)

    def take_apart(self, claimed: Claimed) -> Proven | Rejection:
        """A block with its proof. What costs most comes last: a forged proof is refused at its first wrong link.

        Signatures before headers, since only a quorum can sign what many headers lead to; headers from the last to the
        first, since the one above names each by its digest.
        """
        if _announced(claimed.proof) > DESCENDANTS_MAX:
            return Rejection(Reason.FIELD_RANGE, "descendants")
        proof = _PROOF.decode(claimed.proof, self.value_bytes_max)
        if isinstance(proof, Rejection):
            return proof
        finalization = self._finalization(proof["finalization"])
        if isinstance(finalization, Rejection):
            return finalization
        headers = (claimed.block.header_bytes, *proof["descendants"])
        if digests.block_digest(self._genesis_digest, headers[-1]) != finalization.digest:
            return Rejection(Reason.FIELD_RANGE, "finalization")
        if not self._wire.is_certified(finalization):
            return Rejection(Reason.BAD_SIGNATURE, "no quorum of good signatures")
        return self._link(headers, finalization)

    def is_final(self, proven: Proven) -> bool:
        """Whether the finalization has a quorum of good signatures."""
        return self._wire.is_certified(proven.finalization)

    def verify(self, value: bytes | None) -> FinalBlock | Rejection:
        """The final block of a record's value, its finality verified."""
        proven = self.read(value)
        if isinstance(proven, Rejection):
            return proven
        block = proven.block
        proof = self.prove(proven.finalization, proven.descendants)
        return FinalBlock(block.header, block.header_bytes, block.digest, proof)

    def _finalization(self, data: bytes) -> Certificate | Rejection:
        found = self._wire.decode(data)
        if isinstance(found, Rejection):
            return found
        if not isinstance(found, Certificate) or found.kind is not Kind.FINALIZE or found.proposal is not None:
            return Rejection(Reason.FIELD_RANGE, "finalization")
        return found

    def _link(self, headers: Sequence[bytes], finalization: Certificate) -> Proven | Rejection:
        """A header and its descendants, each the child of the one before, the last one finalized."""
        blocks: list[Block] = []
        for data in reversed(headers):
            block = self._wire.read_block(data)
            if isinstance(block, Rejection):
                return block
            if blocks and not is_child(blocks[-1], block):
                return Rejection(Reason.FIELD_RANGE, "descendants")
            blocks.append(block)
        if finalization.view < blocks[0].header.view:
            return Rejection(Reason.FIELD_RANGE, "finalization")
        return Proven(blocks[-1], finalization, tuple(blocks[-2::-1]))


def _announced(proof: bytes) -> int:
    """How many headers a proof says to hold: items of one byte cost far more to read than their bytes. 0 where that
    does not read; then decoding says what is wrong."""
    try:
        return read_long(proof, read_bytes(proof, 0)[1])[0]
    except (Refused, IndexError):
        return 0


def is_child(block: Block, parent: Block) -> bool:
    """Whether `block` names `parent` as its parent, at the next height and in a later view."""
    header = block.header
    return (
        header.parent_digest == parent.digest
        and header.height == parent.header.height + 1
        and header.view > header.parent_view >= parent.header.view
    )
