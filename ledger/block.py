"""A final block as it crosses processes: the header's bytes and the proof that makes it final."""

from dataclasses import dataclass

from ledger.header import Header


@dataclass(frozen=True, slots=True)
class FinalBlock:
    """`digest` is `digests.block_digest` of `header_bytes`; `proof`: `consensus.wire.final_blocks` verifies it."""

    header: Header
    header_bytes: bytes
    digest: bytes
    proof: bytes
