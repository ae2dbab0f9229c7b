"""Why a record or transaction had no effect. The codes are part of the protocol: they stand in every node's rows.

Tests run cheapest first: size, schema, window, digest, signature, state. One exception keeps that order although
signatures are checked in worker processes that know no state: a remembered digest makes it DUPLICATE whatever the
signature verdict was.
"""

from dataclasses import dataclass
from enum import IntEnum


class Reason(IntEnum):
    """0 is success and is never written as a rejection."""

    NONE = 0
    # size
    NULL_VALUE = 1
    EMPTY = 2
    OVERSIZE = 3
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


@dataclass(frozen=True, slots=True)
class Rejection:
    """Bad data from outside, as a value."""

    reason: Reason
    detail: str = ""
