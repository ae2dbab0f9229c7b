"""The file that proves a row of state: one Avro single object, momus.v1.StateProof (docs/proofs.md)."""

from dataclasses import asdict, dataclass
from typing import Final

from consensus.wire.checkpoint_messages import CheckpointWire
from ledger.commands.rules import ADDRESS_SIZE, TYPE_SIZE_MAX, WRITERS_MAX
from ledger.committee import Committees
from ledger.encoding.codec import Codec
from ledger.genesis import Genesis
from ledger.header import header_bytes_max
from ledger.leaf_reading import KEY_BYTES_MAX, VALUE_BYTES_MAX
from ledger.leaves import Kind
from ledger.object_parts import ObjectDetails
from ledger.rejection import Reason, Rejection
from tree.proofs import PROOF_SIZE_MAX

KEY_SIZES: Final = {Kind.OBJECT: 33, Kind.BALANCE: 65, Kind.ASSET: 33}
"""Kinds of rows that are proven, and the sizes of their keys in bytes."""

_STATE_PROOF: Final = Codec("StateProof", "proofs")
_FRAME_SIZE_MAX: Final = 64
_DETAILS_BYTES_MAX: Final = 2 * TYPE_SIZE_MAX + WRITERS_MAX * ADDRESS_SIZE + 32 + 16
PREFIX: Final = _STATE_PROOF.prefix


@dataclass(frozen=True, slots=True)
class StateProof:
    """`value` None: no such row; `object`: what the value of an object has the hashes of. `proof` is as in
    `tree.proofs`, `certificate` a CheckpointCertificate's record value.

    `header` is that of the checkpoint block, from which the time is known; None: not given.
    """

    key: bytes
    value: bytes | None
    object: ObjectDetails | None
    proof: bytes
    header: bytes | None
    certificate: bytes

    @property
    def kind(self) -> Kind:
        """What kind of row it is of."""
        return Kind(self.key[0])


def file_bytes_max(genesis: Genesis, committees: Committees) -> int:
    """No proof file of this chain is larger; a larger one is refused unread."""
    parts = KEY_BYTES_MAX, VALUE_BYTES_MAX, _DETAILS_BYTES_MAX, PROOF_SIZE_MAX, header_bytes_max(genesis.partitions)
    return sum(parts) + CheckpointWire(genesis, committees).message_bytes_max + _FRAME_SIZE_MAX


def encode_state_proof(proof: StateProof) -> bytes:
    """The bytes of the file."""
    return _STATE_PROOF.encode_single(asdict(proof))


def decode_state_proof(data: bytes, genesis: Genesis, committees: Committees) -> StateProof | Rejection:
    """The parts of a file, of a kind that is proven, with a key of the right size; nothing else is checked."""
    value = _STATE_PROOF.decode_single(data, file_bytes_max(genesis, committees))
    if isinstance(value, Rejection):
        return value
    proof = StateProof(**{**value, "object": value["object"] and ObjectDetails(**value["object"])})
    if not proof.key or KEY_SIZES.get(proof.key[0]) != len(proof.key):  # type: ignore[call-overload]
        return Rejection(Reason.FIELD_RANGE, "key")
    return proof
