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
from ledger.committee import FIRST_EPOCH, Committee, Committees
from ledger.encoding.codec import PREFIX_SIZE, Codec
from ledger.genesis import Genesis
from ledger.header import Epoch, Header, decode_header, encode_header, header_bytes_max
from ledger.keys import verify
from ledger.rejection import Reason, Rejection

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is good."""

NO_DIGEST: Final = bytes(digests.DIGEST_SIZE)
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

    view: int
    block: Block
    signature: bytes = b""

    @property
    def is_reproposal(self) -> bool:
        """Whether it proposes an earlier view's block again."""
        return self.block.header.view != self.view

    @property
    def epoch(self) -> Epoch:
        """That of its block."""
        return self.block.header.epoch


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's vote; `digest` is NO_DIGEST in a nullify, `validator` an index into the committee."""

    kind: Kind
    epoch: Epoch
    view: int
    digest: bytes
    validator: int
    signature: bytes = b""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Equal votes of a quorum: (validator, signature), by rising validator. It may carry the proposal it certifies."""

    kind: Kind
    epoch: Epoch
    view: int
    digest: bytes
    signatures: tuple[tuple[int, bytes], ...]
    proposal: Proposal | None = None


Statement = Proposal | Vote
"""What a validator signs; unsigned as long as the signature is empty."""

Message = Proposal | Vote | Certificate


def statement_kind(statement: Statement) -> str:
    """What kind of statement it is, in a word."""
    return "propose" if isinstance(statement, Proposal) else _NAMES[statement.kind]


def signer(statement: Statement, committee: Committee) -> int:
    """Who must have signed it: the voter, or the view's leader."""
    return statement.validator if isinstance(statement, Vote) else committee.leader(statement.view)


def genesis_block(genesis: Genesis) -> Block:
    """Height 0, which everybody holds from the start: final in view 0."""
    header = Header(genesis.protocol_version, FIRST_EPOCH, 0, 0, NO_DIGEST, 0, 0, 0, genesis.empty_heads())
    return Block(header, b"", genesis.digest)


class Wire:
    """Encodes, decodes and authenticates the messages of one chain."""

    def __init__(self, genesis: Genesis, committees: Committees, verify_signature: Verify = verify) -> None:
        self._genesis = genesis
        self._committees = committees
        self._verify = verify_signature
        self._header_size_max = header_bytes_max(genesis.partitions)
        signatures_size_max = committees.members_max * _SIGNATURE_SIZE_MAX
        self.message_bytes_max: Final = 256 + signatures_size_max + self._header_size_max + 128
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

    def is_authentic(self, message: Message) -> bool:
        """Whether every signature in it is good. Not whether a certificate has a quorum."""
        committee = self._committees.at(message.epoch)
        if committee is None:
            return False
        if not isinstance(message, Certificate):
            return self.is_signed_with(committee.key(signer(message, committee)), message)
        signed = self._vote_bytes(message.kind, message.epoch, message.view, message.digest)
        votes_good = all(self._verify(committee.key(member), signed, good) for member, good in message.signatures)
        return votes_good and (message.proposal is None or self.is_authentic(message.proposal))

    def is_certified(self, certificate: Certificate) -> bool:
        """Whether its distinct members have a quorum's power, and every signature is good."""
        committee = self._committees.at(certificate.epoch)
        members = [member for member, _ in certificate.signatures]
        return committee is not None and committee.is_quorum(members) and self.is_authentic(certificate)

    def is_signed_with(self, key: bytes, statement: Statement) -> bool:
        """Whether the signature of a statement is that of this public key."""
        return self._verify(key, self.signing_bytes(statement), statement.signature)

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
        if self._committees.at(block.header.epoch) is None:
            return Rejection(Reason.FIELD_RANGE, "epoch")
        return Proposal(view, block, value["signature"])

    def _to_vote(self, value: dict[str, Any]) -> Vote | Rejection:
        wrong = self._wrong_vote(value, [value["validator"]], "validator")
        if wrong is not None:
            return Rejection(Reason.FIELD_RANGE, wrong)
        return Vote(**{**value, "kind": _KINDS[value["kind"]]})

    def _to_certificate(self, value: dict[str, Any]) -> Certificate | Rejection:
        wrong = self._wrong_vote(value, [item["validator"] for item in value["signatures"]], "signatures")
        if wrong is not None:
            return Rejection(Reason.FIELD_RANGE, wrong)
        signatures = tuple((item["validator"], item["signature"]) for item in value["signatures"])
        kind = _KINDS[value["kind"]]
        certificate = Certificate(kind, value["epoch"], value["view"], value["digest"], signatures)
        if value["proposal"] is None:
            return certificate
        proposal = self._to_proposal(value["proposal"])
        if isinstance(proposal, Rejection):
            return proposal
        is_of_it = (proposal.epoch, proposal.view) == (certificate.epoch, certificate.view)
        if not is_of_it or proposal.block.digest != certificate.digest:
            return Rejection(Reason.FIELD_RANGE, "proposal")
        return replace(certificate, proposal=proposal)

    def _wrong_vote(self, value: dict[str, Any], members: list[int], of_members: str) -> str | None:
        """The first field out of its range, of those that votes and certificates share; `of_members`: who signed."""
        committee = self._committees.at(value["epoch"])
        if committee is None:
            return "epoch"
        if not 1 <= value["view"] <= VIEW_MAX:
            return "view"
        if (value["kind"] == _NAMES[Kind.NULLIFY]) != (value["digest"] == NO_DIGEST):
            return "digest"
        return None if committee.are_members(members) else of_members

    def _vote_bytes(self, kind: Kind, epoch: Epoch, view: int, digest: bytes) -> bytes:
        return b"".join((_TAGS[kind], self._genesis.digest, _EPOCH_VIEW.pack(epoch, view), digest))


def _proposal_value(proposal: Proposal) -> dict[str, Any]:
    return {"view": proposal.view, "header": proposal.block.header_bytes, "signature": proposal.signature}
