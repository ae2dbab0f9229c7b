"""What validators say of the state: signed checkpoints and their certificates, and their bytes (docs/formats.md).

As in `consensus.wire.messages`: bytes from outside become a message or a Rejection; whether the signatures are good is
a second, dearer question (`CheckpointWire.is_authentic`), and whether they are enough a third.
"""

from dataclasses import dataclass
from typing import Any, Final

from consensus.wire.messages import Verify
from ledger.checkpoint import Checkpoint, checkpoint_digest, decode_checkpoint, encode_checkpoint
from ledger.committee import Committee, Committees
from ledger.encoding.codec import PREFIX_SIZE, Codec
from ledger.genesis import Genesis
from ledger.header import header_bytes_max
from ledger.keys import verify
from ledger.rejection import Reason, Rejection

TAG_CERTIFY: Final = b"momus/certify/v1"

_SIGNATURE_SIZE_MAX: Final = 64 + 12
_SIGNATURE: Final = Codec("CheckpointSignature", "consensus")
_CERTIFICATE: Final = Codec("CheckpointCertificate", "consensus")


@dataclass(frozen=True, slots=True)
class Claim:
    """What somebody says the state is: a checkpoint with its bytes and its digest."""

    checkpoint: Checkpoint
    checkpoint_bytes: bytes
    digest: bytes

    @property
    def height(self) -> int:
        """That of the checkpoint block."""
        return self.checkpoint.height


@dataclass(frozen=True, slots=True)
class CheckpointSignature:
    """A validator's word for a claim; `validator` is an index into the committee. Unsigned while it is empty."""

    claim: Claim
    validator: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class CheckpointCertificate:
    """Equal signatures of a quorum: (validator, signature), by rising validator."""

    claim: Claim
    signatures: tuple[tuple[int, bytes], ...]

    @property
    def members(self) -> tuple[int, ...]:
        """Who signed."""
        return tuple(member for member, _ in self.signatures)


CheckpointMessage = CheckpointSignature | CheckpointCertificate


def speaks_of_checkpoints(value: bytes | None) -> bool:
    """Whether a record's value is meant for `CheckpointWire`, by its first ten bytes; else it is for `Wire`."""
    return value is not None and value.startswith((_SIGNATURE.prefix, _CERTIFICATE.prefix))


class CheckpointWire:
    """Encodes, decodes and authenticates what is said of one chain's checkpoints."""

    def __init__(self, genesis: Genesis, committees: Committees, verify_signature: Verify = verify) -> None:
        self._genesis = genesis
        self._committees = committees
        self._verify = verify_signature
        self.message_bytes_max: Final = (
            64 + committees.members_max * _SIGNATURE_SIZE_MAX + header_bytes_max(genesis.partitions)
        )
        """No honest message is larger; a larger one is refused unread."""

    def claim(self, checkpoint: Checkpoint) -> Claim:
        """A claim of our own."""
        checkpoint_bytes = encode_checkpoint(checkpoint)
        return Claim(checkpoint, checkpoint_bytes, checkpoint_digest(self._genesis, checkpoint_bytes))

    def read_claim(self, checkpoint_bytes: bytes) -> Claim | Rejection:
        """The claim of checkpoint bytes from outside, of an epoch whose committee is known."""
        checkpoint = decode_checkpoint(checkpoint_bytes, self._genesis.partitions)
        if isinstance(checkpoint, Rejection):
            return checkpoint
        if self._committees.at(checkpoint.epoch) is None:
            return Rejection(Reason.FIELD_RANGE, "epoch")
        return Claim(checkpoint, checkpoint_bytes, checkpoint_digest(self._genesis, checkpoint_bytes))

    def committee_of(self, claim: Claim) -> Committee:
        """Who signs it: the committee of its epoch, which is known of every claim that was made or read here."""
        committee = self._committees.at(claim.checkpoint.epoch)
        assert committee is not None
        return committee

    def signing_bytes(self, claim: Claim) -> bytes:
        """What every signature covers: ``tag | genesis digest 32 | checkpoint bytes``."""
        return b"".join((TAG_CERTIFY, self._genesis.digest, claim.checkpoint_bytes))

    def is_authentic(self, message: CheckpointMessage) -> bool:
        """Whether every signature in it is good. Not whether a certificate has a quorum."""
        signed, committee = self.signing_bytes(message.claim), self.committee_of(message.claim)
        if isinstance(message, CheckpointSignature):
            return self._verify(committee.key(message.validator), signed, message.signature)
        return all(self._verify(committee.key(member), signed, good) for member, good in message.signatures)

    def is_certified(self, certificate: CheckpointCertificate) -> bool:
        """Whether its distinct members have a quorum's power, and every signature is good."""
        committee = self.committee_of(certificate.claim)
        is_quorum = committee.are_members(certificate.members) and committee.is_quorum(certificate.members)
        return is_quorum and self.is_authentic(certificate)

    def encode(self, message: CheckpointMessage) -> bytes:
        """The record's value of a signed message."""
        if isinstance(message, CheckpointSignature):
            return _SIGNATURE.encode_single(
                {
                    "checkpoint": message.claim.checkpoint_bytes,
                    "validator": message.validator,
                    "signature": message.signature,
                }
            )
        signatures = [{"validator": member, "signature": signature} for member, signature in message.signatures]
        return _CERTIFICATE.encode_single({"checkpoint": message.claim.checkpoint_bytes, "signatures": signatures})

    def decode(self, data: bytes | None) -> CheckpointMessage | Rejection:
        """The message of a record's value, its fields in range, its signatures unchecked."""
        if data is None:
            return Rejection(Reason.NULL_VALUE)
        if len(data) > self.message_bytes_max:
            return Rejection(Reason.OVERSIZE, f"{len(data)} bytes, at most {self.message_bytes_max}")
        for codec, build in ((_SIGNATURE, self._to_signature), (_CERTIFICATE, self._to_certificate)):
            if data.startswith(codec.prefix):
                value = codec.decode_single(data, self.message_bytes_max)
                return value if isinstance(value, Rejection) else build(value)
        return Rejection(Reason.UNKNOWN_SCHEMA if len(data) >= PREFIX_SIZE else Reason.MALFORMED)

    def _to_signature(self, value: dict[str, Any]) -> CheckpointSignature | Rejection:
        claim = self.read_claim(value["checkpoint"])
        if isinstance(claim, Rejection):
            return claim
        if not self.committee_of(claim).are_members([value["validator"]]):
            return Rejection(Reason.FIELD_RANGE, "validator")
        return CheckpointSignature(claim, value["validator"], value["signature"])

    def _to_certificate(self, value: dict[str, Any]) -> CheckpointCertificate | Rejection:
        claim = self.read_claim(value["checkpoint"])
        if isinstance(claim, Rejection):
            return claim
        signatures = tuple((item["validator"], item["signature"]) for item in value["signatures"])
        if not self.committee_of(claim).are_members([member for member, _ in signatures]):
            return Rejection(Reason.FIELD_RANGE, "signatures")
        return CheckpointCertificate(claim, signatures)
