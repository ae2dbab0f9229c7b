"""Node records: what a validator's node says of itself to the others, and its bytes (docs/formats.md). Pure.

The signature is bound by a domain tag of its own, so it is never one of a vote, a proposal, a checkpoint or a
transaction. Bytes from outside become a record or a Rejection; whether the signature is good is a second, dearer
question (`NodeRecords.is_authentic`). Nothing that decides rests on a node record.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from ledger.encoding.codec import Codec
from ledger.keys import verify
from ledger.rejection import Reason, Rejection

Verify = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether it is good."""
Sign = Callable[[bytes], bytes]

TAG_NODE_RECORD: Final = b"momus/node-record/v1"
RECORD_BYTES_MAX: Final = 1_024
SEQUENCE_MAX: Final = 2**62
HEIGHT_MAX: Final = 2**62
VALID_FOR_MS_MIN: Final = 1_000
VALID_FOR_MS_MAX: Final = 600_000
ADDRESS_CHARACTERS_MAX: Final = 255
ROLES_MAX: Final = 8

_VERSION: Final = re.compile(r"[0-9A-Za-z.+-]{1,32}")
_ROLE: Final = re.compile(r"[a-z0-9-]{1,16}")
_ADDRESS: Final = re.compile(r"https?://([0-9A-Za-z._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?")
_PORT_MAX: Final = 65_535

_RECORD: Final = Codec("NodeRecord", "sync")
_BODY: Final = Codec("NodeRecordBody", "sync")


@dataclass(frozen=True, slots=True)
class NodeRecord:
    """What a node says of itself. An address is empty where nothing is offered; `sequence` rises over restarts."""

    sequence: int
    valid_for_ms: int
    version: str
    roles: tuple[str, ...]
    api_address: str
    sync_address: str
    height: int
    checkpoint_height: int


@dataclass(frozen=True, slots=True)
class Signed:
    """A record from outside, its fields in range, its signature unchecked."""

    record: NodeRecord
    genesis: bytes
    body: bytes
    public_key: bytes
    signature: bytes


def is_address(text: str) -> bool:
    """Whether it is empty or ``http(s)://host[:port]``: ASCII, nothing that a page could take for markup."""
    if not text:
        return True
    if len(text) > ADDRESS_CHARACTERS_MAX or not _ADDRESS.fullmatch(text):
        return False
    _, mark, port = text.rpartition(":")
    return not (mark and port.isdigit()) or 1 <= int(port) <= _PORT_MAX


class NodeRecords:
    """Signs, encodes, decodes and authenticates the node records of one chain."""

    def __init__(self, genesis_digest: bytes, verify_signature: Verify = verify) -> None:
        self._genesis = genesis_digest
        self._verify = verify_signature

    def signed(self, record: NodeRecord, public_key: bytes, sign: Sign) -> bytes:
        """The value of an own record. Raises: ValueError for a field out of its range, which names it."""
        wrong = _wrong_field(record)
        if wrong is not None:
            raise ValueError(f"{wrong} of a node record is out of its range")
        body = _BODY.encode(
            {
                "genesis": self._genesis,
                "sequence": record.sequence,
                "valid_for_ms": record.valid_for_ms,
                "version": record.version,
                "roles": list(record.roles),
                "api_address": record.api_address,
                "sync_address": record.sync_address,
                "height": record.height,
                "checkpoint_height": record.checkpoint_height,
            }
        )
        signature = sign(self.signing_bytes(public_key, body))
        return _RECORD.encode_single({"body": body, "public_key": public_key, "signature": signature})

    def signing_bytes(self, public_key: bytes, body: bytes) -> bytes:
        """What the signature covers: ``tag | genesis digest 32 | public key 32 | body``."""
        return b"".join((TAG_NODE_RECORD, self._genesis, public_key, body))

    def decode(self, value: bytes | None) -> Signed | Rejection:
        """The record of a value from the topic, of whatever chain and key; its signature unchecked."""
        if value is None:
            return Rejection(Reason.NULL_VALUE)
        found = _RECORD.decode_single(value, RECORD_BYTES_MAX)
        if isinstance(found, Rejection):
            return found
        body = _BODY.decode(found["body"], RECORD_BYTES_MAX)
        if isinstance(body, Rejection):
            return body
        genesis = body.pop("genesis")
        record = NodeRecord(**{**body, "roles": tuple(body["roles"])})
        wrong = _wrong_field(record)
        if wrong is not None:
            return Rejection(Reason.FIELD_RANGE, wrong)
        return Signed(record, genesis, found["body"], found["public_key"], found["signature"])

    def is_of_this_chain(self, signed: Signed) -> bool:
        """Whether it says that it is; what it is worth without its signature is up to who asks."""
        return signed.genesis == self._genesis

    def is_authentic(self, signed: Signed) -> bool:
        """Whether the signature is the key's over this record and this chain."""
        return self._verify(signed.public_key, self.signing_bytes(signed.public_key, signed.body), signed.signature)


def _wrong_field(record: NodeRecord) -> str | None:
    """The first field out of its range."""
    roles = record.roles
    checks: tuple[tuple[str, Any], ...] = (
        ("sequence", 0 <= record.sequence <= SEQUENCE_MAX),
        ("valid_for_ms", VALID_FOR_MS_MIN <= record.valid_for_ms <= VALID_FOR_MS_MAX),
        ("version", _VERSION.fullmatch(record.version)),
        ("roles", len(roles) <= ROLES_MAX and list(roles) == sorted(set(roles)) and all(map(_ROLE.fullmatch, roles))),
        ("api_address", is_address(record.api_address)),
        ("sync_address", is_address(record.sync_address)),
        ("height", 0 <= record.height <= HEIGHT_MAX),
        ("checkpoint_height", 0 <= record.checkpoint_height <= HEIGHT_MAX),
    )
    return next((name for name, is_right in checks if not is_right), None)
