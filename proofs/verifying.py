"""Whether a proof file proves what it says, from genesis alone: no database, no log, no network."""

from dataclasses import dataclass

from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.digests import block_digest
from ledger.genesis import Genesis, Validator
from ledger.header import decode_header
from ledger.leaf_reading import LeafContent, read_leaf
from ledger.leaves import key_hash, value_hash
from ledger.object_parts import ObjectDetails
from ledger.rejection import Rejection
from ledger.state import Object
from proofs.proof_file import StateProof, decode_state_proof
from tree.proofs import BadProof, decode_proof, verify


@dataclass(frozen=True, slots=True)
class Proven:
    """A row of state, or its absence, and who says so. `details` are there with an object; `time_ms` is the block's,
    None where the file has no header."""

    key: bytes
    row: LeafContent | None
    details: ObjectDetails | None
    checkpoint: Checkpoint
    time_ms: int | None
    signers: tuple[Validator, ...]
    power: int
    power_total: int


@dataclass(frozen=True, slots=True)
class NotProven:
    """The file proves nothing; why, in one sentence."""

    why: str


def verify_state_proof(data: bytes, genesis: Genesis, committees: Committees) -> Proven | NotProven:
    """What a file proves to somebody who trusts this genesis, its committees and nothing else. Never raises."""
    proof = decode_state_proof(data, genesis, committees)
    if isinstance(proof, Rejection):
        return NotProven(f"It is no proof file: {_words(proof)}.")
    row = None if proof.value is None else read_leaf(proof.key, proof.value)
    if isinstance(row, Rejection):
        return NotProven(f"Its value is none that this kind of row can have: {_words(row)}.")
    if not _are_of(proof.object, row):
        return NotProven("Its type, writers, media type and content are not those that the row has the hashes of.")
    wire = CheckpointWire(genesis, committees)
    certificate = _certificate(proof, wire)
    if isinstance(certificate, NotProven):
        return certificate
    checkpoint = certificate.claim.checkpoint
    if not _is_under(checkpoint.state_root, proof):
        return NotProven(f"The row does not follow from the state root of checkpoint {checkpoint.height}.")
    time_ms = _time_ms(proof, checkpoint, genesis)
    if isinstance(time_ms, NotProven):
        return time_ms
    committee = wire.committee_of(certificate.claim)
    signers = tuple(committee.members[index] for index in certificate.members)
    power = committee.power_of(certificate.members)
    return Proven(proof.key, row, proof.object, checkpoint, time_ms, signers, power, committee.power)


def _are_of(details: ObjectDetails | None, row: LeafContent | None) -> bool:
    if isinstance(row, Object):
        return details is not None and row.is_of(details)
    return details is None


def _certificate(proof: StateProof, wire: CheckpointWire) -> CheckpointCertificate | NotProven:
    message = wire.decode(proof.certificate)
    if isinstance(message, Rejection):
        return NotProven(f"Its certificate is none: {_words(message)}.")
    if not isinstance(message, CheckpointCertificate):
        return NotProven("It has one validator's signature in the place of a certificate.")
    if not wire.committee_of(message.claim).is_quorum(message.members):
        return NotProven("Its certificate is not signed by more than two thirds of the power.")
    if not wire.is_certified(message):
        return NotProven(
            "A signature of its certificate is not the validator's, over this checkpoint and this genesis."
        )
    return message


def _is_under(state_root: bytes, proof: StateProof) -> bool:
    """Whether the tree proof leads from the leaf, or from its absence, to the root."""
    try:
        path = decode_proof(proof.proof)
    except BadProof:
        return False
    value = None if proof.value is None else value_hash(proof.value)
    return verify(state_root, key_hash(proof.key), value, path)


def _time_ms(proof: StateProof, checkpoint: Checkpoint, genesis: Genesis) -> int | NotProven | None:
    """The time of the checkpoint block, whose header is the only one with the checkpoint's block digest."""
    if proof.header is None:
        return None
    header = decode_header(proof.header, genesis.partitions)
    if isinstance(header, Rejection) or block_digest(genesis.digest, proof.header) != checkpoint.block_digest:
        return NotProven("Its header is not that of the checkpoint's block.")
    return header.time_ms


def _words(rejection: Rejection) -> str:
    return f"{rejection.reason.word} ({rejection.detail})"
