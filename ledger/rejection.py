"""Why a record or transaction had no effect. The codes are part of the protocol: they stand in every node's rows.

Tests run cheapest first: size, schema, window, digest, signature, state. One exception keeps that order although
signatures are checked in worker processes that know no state: a remembered digest makes it DUPLICATE whatever the
signature verdict was.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final


class Reason(IntEnum):
    """0 is success and is never written as a rejection."""

    NONE = 0
    # size
    NULL_VALUE = 1
    EMPTY = 2
    OVERSIZE = 3
    TOO_COSTLY = 4
    # schema
    UNKNOWN_SCHEMA = 10
    MALFORMED = 11
    NON_CANONICAL = 12
    BATCH_SIZE = 13
    COMMANDS_COUNT = 14
    RECIPIENTS_COUNT = 15
    AMOUNT_RANGE = 16
    CONTENT_SIZE = 17
    FIELD_RANGE = 18
    UNKNOWN_BRANCH = 19
    # window
    EXPIRED = 20
    TOO_FAR_AHEAD = 21
    # digest
    DUPLICATE = 30
    # signature
    WEAK_KEY = 40
    BAD_SIGNATURE = 41
    # state
    UNKNOWN_ASSET = 50
    NOT_AN_ISSUER = 51
    SUPPLY_OVERFLOW = 52
    INSUFFICIENT_BALANCE = 53
    UNKNOWN_OBJECT = 54
    NOT_THE_OWNER = 55
    STALE_VERSION = 56
    IMMUTABLE_OBJECT = 57
    SHARED_OBJECT = 58
    NOT_A_WRITER = 59

    @property
    def sentence(self) -> str:
        """A sentence for people."""
        return _SENTENCES[self]

    @property
    def is_conclusive(self) -> bool:
        """Whether no later block can execute the transaction, nor an earlier one has: its digest is consumed, its
        bytes are never valid, or its time is over."""
        return self not in INCONCLUSIVE


INCONCLUSIVE: Final = (Reason.TOO_FAR_AHEAD, Reason.DUPLICATE, Reason.BAD_SIGNATURE)
"""What these say holds for one record: another with the same digest, in time and signed, executes, or has executed."""

_SENTENCES: Final = {
    Reason.NONE: "It was executed.",
    Reason.NULL_VALUE: "The record has no value (a null, or tombstone).",
    Reason.EMPTY: "The record's value is empty.",
    Reason.OVERSIZE: "The record's value is larger than record_bytes_max.",
    Reason.TOO_COSTLY: "Its commands would cost more than 40 bytes of state and history for each byte of it.",
    Reason.UNKNOWN_SCHEMA: "The value does not begin with the prefix of a schema that this protocol version accepts.",
    Reason.MALFORMED: "The bytes are not Avro of their schema: cut short, or a length or number is out of range.",
    Reason.NON_CANONICAL: "The bytes are Avro, but not in canonical spelling (padding, split blocks, extra bytes).",
    Reason.BATCH_SIZE: "The batch holds no transaction, or more than batch_max.",
    Reason.COMMANDS_COUNT: "The transaction holds no command, or more than commands_max.",
    Reason.RECIPIENTS_COUNT: "A transfer has no recipient, more than recipients_max, or not one amount per recipient.",
    Reason.AMOUNT_RANGE: "An amount is not between 1 and 2^63 - 1.",
    Reason.CONTENT_SIZE: "An object's content is larger than content_bytes_max.",
    Reason.FIELD_RANGE: "A field is out of its range (length, characters or number).",
    Reason.UNKNOWN_BRANCH: "It holds a command or variant that this protocol version does not know.",
    Reason.EXPIRED: "expires_at_ms is not after the time of the block that holds the transaction.",
    Reason.TOO_FAR_AHEAD: "expires_at_ms is more than window_ms after the time of the transaction's block.",
    Reason.DUPLICATE: "The same transaction was accepted before; a digest executes once.",
    Reason.WEAK_KEY: "The public key is not a canonical Ed25519 key, or has a small order.",
    Reason.BAD_SIGNATURE: "The signature is not the key's over this body and this chain's genesis.",
    Reason.UNKNOWN_ASSET: "There is no such asset.",
    Reason.NOT_AN_ISSUER: "The signer may not create or mint this asset.",
    Reason.SUPPLY_OVERFLOW: "The asset's supply would reach 2^63.",
    Reason.INSUFFICIENT_BALANCE: "The signer's balance is smaller than the sum.",
    Reason.UNKNOWN_OBJECT: "There is no such object.",
    Reason.NOT_THE_OWNER: "The object is owned by another address.",
    Reason.STALE_VERSION: "The object is not at the version that the transaction read.",
    Reason.IMMUTABLE_OBJECT: "The object is immutable.",
    Reason.SHARED_OBJECT: "The object is shared, which this command does not allow.",
    Reason.NOT_A_WRITER: "The signer is not among the writers of the shared object.",
}


@dataclass(frozen=True, slots=True)
class Rejection:
    """Bad data from outside, as a value."""

    reason: Reason
    detail: str = ""
