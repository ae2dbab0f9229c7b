"""A record of the effects topic, and the place in the chain that it is of."""

from datetime import datetime
from typing import Any, Final

from api.reading.rows import ObjectChange, Rejected, Transfer
from api.reading.streams import Event, RejectedEvent, StreamPosition
from api.reading.transactions import TRANSFERS_MAX, Transaction
from ledger.encoding.codec import Codec
from ledger.rejection import Rejection

RECORD_BYTES_MAX: Final = 1 << 20
EXECUTED: Final = "executed"
REJECTED: Final = "rejected"

_CODEC: Final = Codec("Effect", "api")


def encode_effect(event: Event, block_digest: bytes) -> tuple[bytes, bytes]:
    """Key (the digest of the transaction; empty where there is none) and value."""
    content = event.content
    if isinstance(content, RejectedEvent):
        facts, digest = _rejected(content.rejected), content.rejected.digest
    else:
        assert isinstance(content, Transaction), "effects are executed or rejected"
        facts, digest = _executed(content), content.digest
    value = _CODEC.encode_single({"height": event.height, "block_digest": block_digest, **facts})
    return bytes.fromhex(digest or ""), value


def decode_effect(value: bytes | None) -> tuple[StreamPosition, bytes] | None:
    """The place that a record is of, and the digest of its block; None: it is not one of ours."""
    found = _CODEC.decode_single(value or b"", RECORD_BYTES_MAX)
    if isinstance(found, Rejection):
        return None
    part = 0 if found["state"] == EXECUTED else 1
    if found["height"] < 1 or found["index"] < 0:
        return None
    return StreamPosition(found["height"], part, found["index"]), found["block_digest"]


def _executed(transaction: Transaction) -> dict[str, Any]:
    executed = transaction.executed
    assert executed is not None
    return {
        "time_ms": _ms(executed.time),
        "state": EXECUTED,
        "index": executed.index,
        "digest": bytes.fromhex(executed.digest),
        "signer": bytes.fromhex(executed.signer),
        "reference": bytes.fromhex(executed.reference_hex),
        "partition": executed.partition,
        "offset": executed.offset,
        "item": executed.item,
        "reason": "",
        "transfers": [_transfer(each) for each in transaction.transfers[:TRANSFERS_MAX]],
        "transfers_left_out": transaction.transfers_left_out or len(transaction.transfers) > TRANSFERS_MAX,
        "objects": [_object(each) for each in transaction.objects],
    }


def _rejected(rejected: Rejected) -> dict[str, Any]:
    return {
        "time_ms": _ms(rejected.time),
        "state": REJECTED,
        "index": rejected.index,
        "digest": _bytes(rejected.digest),
        "signer": _bytes(rejected.signer),
        "reference": (rejected.reference or "").encode(),
        "partition": rejected.partition,
        "offset": rejected.offset,
        "item": rejected.item,
        "reason": rejected.reason or str(rejected.code),
        "transfers": [],
        "transfers_left_out": False,
        "objects": [],
    }


def _transfer(transfer: Transfer) -> dict[str, Any]:
    return {
        "index": transfer.index,
        "kind": transfer.kind,
        "asset": bytes.fromhex(transfer.asset),
        "sender": _bytes(transfer.sender),
        "recipient": _bytes(transfer.recipient),
        "amount": int(transfer.amount),
    }


def _object(change: ObjectChange) -> dict[str, Any]:
    return {
        "object": bytes.fromhex(change.object),
        "version": change.version,
        "command": change.command,
        "deleted": change.deleted,
        "ownership": change.ownership,
        "owner": _bytes(change.owner),
    }


def _bytes(digits: str | None) -> bytes | None:
    return None if digits is None else bytes.fromhex(digits)


def _ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)
