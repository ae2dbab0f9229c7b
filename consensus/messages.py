"""What validators say to each other: proposals, votes and certificates, and their bytes (docs/formats.md).

Every signature is bound to its kind by a domain tag, and to the chain by the genesis digest. Bytes from outside become
a message or a Rejection; whether the signatures are good is a second, dearer question (`Wire.is_authentic`).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from struct import Struct
from typing import Any, Final

from ledger import digests
from ledger.codec import PREFIX_SIZE, Codec
from ledger.genesis import Genesis
from ledger.header import Header, View, decode_header, encode_header, header_bytes_max
from ledger.keys import verify
from ledger.rejection import Reason, Rejection

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is good."""

NO_DIGEST: Final = bytes(digests.DIGEST_SIZE)
EPOCH: Final = 0
VIEW_MAX: Final = 2**62

_SIGNATURE_SIZE_MAX: Final = 64 + 12
_TAG_PROPOSAL: Final = b"momus/proposal/v1"
_VIEW: Final = Struct(">Q")
_EPOCH_VIEW: Final = Struct(">QQ")

_PROPOSAL: Final = Codec("Proposal", "consensus")
_VOTE: Final = Codec("Vote", "consensus")
_CERTIFICATE: Final = Codec("Certificate", "consensus")


class Kind(IntEnum):
    """A kind of vote, and of the certificate that a quorum of them makes."""

    NOTARIZE = 0
    NULLIFY = 1
    FINALIZE = 2


_TAGS: Final = {
    Kind.NOTARIZE: b"momus/notarize/v1",
    Kind.NULLIFY: b"momus/nullify/v1",
    Kind.FINALIZE: b"momus/finalize/v1",
}
_NAMES: Final = {kind: kind.name.lower() for kind in Kind}
_KINDS: Final = {name: kind for kind, name in _NAMES.items()}


@dataclass(frozen=True, slots=True)
class Block:
    """A header with its bytes and its digest. The block of height 0 has no bytes (`genesis_block`)."""

    header: Header
    header_bytes: bytes
    digest: bytes


@dataclass(frozen=True, slots=True)
class Proposal:
    """A leader's block for `view`. In a re-proposal `block.header.view` is an earlier one."""

    view: View
    block: Block
    signature: bytes = b""

    @property
    def is_again(self) -> bool:
        """Whether it proposes an earlier view's block again."""
        return self.block.header.view != self.view


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's vote; `digest` is NO_DIGEST in a nullify, `validator` an index into the committee."""

    kind: Kind
    epoch: int
    view: View
    digest: bytes
    validator: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Equal votes of a quorum: (validator, signature), by rising validator. It may carry the proposal it certifies."""

    kind: Kind
    epoch: int
    view: View
    digest: bytes
    signatures: tuple[tuple[int, bytes], ...]
    proposal: Proposal | None = None


Statement = Proposal | Vote
"""What a validator signs; unsigned as long as the signature is empty."""

Message = Proposal | Vote | Certificate


def said(statement: Statement) -> str:
    """What kind of statement it is, in a word."""
    return "propose" if isinstance(statement, Proposal) else _NAMES[statement.kind]


def genesis_block(genesis: Genesis) -> Block:
    """Height 0, which everybody holds from the start: final in view 0."""
    header = Header(genesis.protocol_version, EPOCH, 0, 0, NO_DIGEST, 0, 0, 0, genesis.empty_heads())
    return Block(header, b"", genesis.digest)


class Wire:
    """Encodes, decodes and authenticates the messages of one chain."""

    def __init__(self, genesis: Genesis, verify_signature: Verify = verify) -> None:
        self._genesis = genesis
        self._verify = verify_signature
        self._header_size_max = header_bytes_max(genesis.partitions)
        members = len(genesis.validators)
        self.message_bytes_max: Final = 256 + members * _SIGNATURE_SIZE_MAX + self._header_size_max + 128
        """No honest message is larger; a larger one is refused unread."""

    def block(self, header: Header) -> Block:
        """A block of our own."""
        header_bytes = encode_header(header)
        return Block(header, header_bytes, digests.block_digest(self._genesis.digest, header_bytes))

    def read_block(self, header_bytes: bytes) -> Block | Rejection:
        """The block of header bytes from outside: canonical, with one head for every partition."""
        header = decode_header(header_bytes, self._genesis.partitions)
        if isinstance(header, Rejection):
            return header
        if len(header.heads) != self._genesis.partitions:
            return Rejection(Reason.FIELD_RANGE, "heads")
        return Block(header, header_bytes, digests.block_digest(self._genesis.digest, header_bytes))

    def signing_bytes(self, statement: Statement) -> bytes:
        """What the signature of a statement covers; layouts in docs/formats.md."""
        if isinstance(statement, Proposal):
            return b"".join((_TAG_PROPOSAL, self._genesis.digest, _VIEW.pack(statement.view), statement.block.digest))
        return self._vote_bytes(statement.kind, statement.epoch, statement.view, statement.digest)

    def is_authentic(self, message: Message, leader: Callable[[int], int]) -> bool:
        """Whether every signature in it is good. Not whether a certificate has a quorum."""
        match message:
            case Proposal(view=view, signature=signature):
                return self._is_signed_by(leader(view), self.signing_bytes(message), signature)
            case Vote(validator=validator, signature=signature):
                return self._is_signed_by(validator, self.signing_bytes(message), signature)
            case Certificate(kind, epoch, view, digest, signatures, proposal):
                signed = self._vote_bytes(kind, epoch, view, digest)
                votes_good = all(self._is_signed_by(member, signed, signature) for member, signature in signatures)
                return votes_good and (proposal is None or self.is_authentic(proposal, leader))

    def encode(self, message: Message) -> bytes:
        """The record's value of a signed message."""
        match message:
            case Proposal():
                return _PROPOSAL.encode_single(_proposal_value(message))
            case Vote(kind, epoch, view, digest, validator, signature):
                return _VOTE.encode_single(
                    {
                        "kind": _NAMES[kind],
                        "epoch": epoch,
                        "view": view,
                        "digest": digest,
                        "validator": validator,
                        "signature": signature,
                    }
                )
            case Certificate(kind, epoch, view, digest, signatures, proposal):
                return _CERTIFICATE.encode_single(
                    {
                        "kind": _NAMES[kind],
                        "epoch": epoch,
                        "view": view,
                        "digest": digest,
                        "signatures": [{"validator": member, "signature": good} for member, good in signatures],
                        "proposal": None if proposal is None else _proposal_value(proposal),
                    }
                )

    def decode(self, data: bytes | None) -> Message | Rejection:
        """The message of a record's value, its fields in range, its signatures unchecked."""
        if data is None:
            return Rejection(Reason.NULL_VALUE)
        if len(data) > self.message_bytes_max:
            return Rejection(Reason.OVERSIZE, f"{len(data)} bytes, at most {self.message_bytes_max}")
        for codec, build in (
            (_VOTE, self._to_vote),
            (_PROPOSAL, self._to_proposal),
            (_CERTIFICATE, self._to_certificate),
        ):
            if data.startswith(codec.prefix):
                value = codec.decode_single(data, self.message_bytes_max)
                return value if isinstance(value, Rejection) else build(value)
        return Rejection(Reason.UNKNOWN_SCHEMA if len(data) >= PREFIX_SIZE else Reason.MALFORMED)

    def _to_proposal(self, value: dict[str, Any]) -> Proposal | Rejection:
        block = self.read_block(value["header"])
        if isinstance(block, Rejection):
            return block
        view = value["view"]
        if not block.header.view <= view <= VIEW_MAX:
            return Rejection(Reason.FIELD_RANGE, "view")
        return Proposal(View(view), block, value["signature"])

    def _to_vote(self, value: dict[str, Any]) -> Vote | Rejection:
        wrong = self._wrong_vote(value)
        if wrong is None and not 0 <= value["validator"] < len(self._genesis.validators):
            wrong = "validator"
        if wrong is not None:
            return Rejection(Reason.FIELD_RANGE, wrong)
        return Vote(**{**value, "kind": _KINDS[value["kind"]]})

    def _to_certificate(self, value: dict[str, Any]) -> Certificate | Rejection:
        members = [item["validator"] for item in value["signatures"]]
        wrong = self._wrong_vote(value)
        if wrong is None and (members != sorted(set(members)) or not members):
            wrong = "signatures"
        if wrong is None and not 0 <= members[0] <= members[-1] < len(self._genesis.validators):
            wrong = "signatures"
        if wrong is not None:
            return Rejection(Reason.FIELD_RANGE, wrong)
        signatures = tuple((item["validator"], item["signature"]) for item in value["signatures"])
        kind = _KINDS[value["kind"]]
        certificate = Certificate(kind, value["epoch"], View(value["view"]), value["digest"], signatures)
        if value["proposal"] is None:
            return certificate
        proposal = self._to_proposal(value["proposal"])
        if isinstance(proposal, Rejection):
            return proposal
        if proposal.view != certificate.view or proposal.block.digest != certificate.digest:
            return Rejection(Reason.FIELD_RANGE, "proposal")
        return replace(certificate, proposal=proposal)

    def _wrong_vote(self, value: dict[str, Any]) -> str | None:
        """The first field out of its range, of those that votes and certificates share."""
        if value["epoch"] != EPOCH:
            return "epoch"
        if not 1 <= value["view"] <= VIEW_MAX:
            return "view"
        is_nullify = value["kind"] == _NAMES[Kind.NULLIFY]
        return None if is_nullify == (value["digest"] == NO_DIGEST) else "digest"

    def _vote_bytes(self, kind: Kind, epoch: int, view: int, digest: bytes) -> bytes:
        return b"".join((_TAGS[kind], self._genesis.digest, _EPOCH_VIEW.pack(epoch, view), digest))

    def _is_signed_by(self, member: int, signed: bytes, signature: bytes) -> bool:
        return self._verify(self._genesis.validators[member].consensus_key, signed, signature)


def _proposal_value(proposal: Proposal) -> dict[str, Any]:
    return {"view": proposal.view, "header": proposal.block.header_bytes, "signature": proposal.signature}
