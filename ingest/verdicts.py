"""Judges records without any state, cheapest test first: size, schema, window, (digest), signature.

Pure: the same records, genesis digest and limits give the same columns on every machine, in chunks of any size.
A digest that is remembered already is state, which only the executor knows.
"""

from collections.abc import Iterable
from hashlib import sha256

from ingest.packing import Packer, RecordPosition, join
from ledger import digests
from ledger.columns import Verdicts
from ledger.genesis import Limits
from ledger.keys import is_acceptable_key, verify
from ledger.rejection import Reason, Rejection
from ledger.transaction import Body, Transaction, decode_body, decode_record

__all__ = ["Record", "join", "judge", "verdict"]

Record = tuple[int, int, int, bytes | None]
"""(partition, offset, time of the block that holds it in ms, value)"""


def judge(records: Iterable[Record], genesis_digest: bytes, limits: Limits) -> Verdicts:
    """One row of `items` per transaction, and one (item -1) per record that does not decode, in order.

    Rejected items have no commands. Any bytes are judged; nothing raises.
    """
    packer = Packer()
    for index, (partition, offset, time_ms, value) in enumerate(records):
        transactions = decode_record(value, limits)
        if isinstance(transactions, Rejection):
            packer.add_record(index, partition, offset, transactions.reason)
            continue
        for item, transaction in enumerate(transactions):
            place = (index, partition, offset, item)
            _judge_item(packer, place, transaction, time_ms, genesis_digest, limits)
    return packer.pack()


def verdict(transaction: Transaction, message: bytes, time_ms: int, limits: Limits) -> tuple[Reason, Body | None]:
    """What every node says of a transaction in a block of `time_ms` before it looks at state (NONE: nothing against
    it), and its body where it decodes. `message` is what the signature must be over."""
    body = decode_body(transaction.body, limits)
    if isinstance(body, Rejection):
        return body.reason, None
    return _outside_window(body.expires_at_ms, time_ms, limits) or _wrong_signature(transaction, message), body


def _judge_item(
    packer: Packer, place: RecordPosition, transaction: Transaction, time_ms: int, genesis_digest: bytes, limits: Limits
) -> None:
    message = digests.transaction_message(genesis_digest, transaction.public_key, transaction.body)
    identity = (sha256(message).digest(), digests.address_of(transaction.public_key))
    reason, body = verdict(transaction, message, time_ms, limits)
    packer.add_item(place, reason, identity, body, () if reason or body is None else body.commands)


def _outside_window(expires_at_ms: int, time_ms: int, limits: Limits) -> Reason:
    """`expires_at_ms` must lie in (time_ms, time_ms + window_ms]."""
    if expires_at_ms <= time_ms:
        return Reason.EXPIRED
    return Reason.TOO_FAR_AHEAD if expires_at_ms > time_ms + limits.window_ms else Reason.NONE


def _wrong_signature(transaction: Transaction, message: bytes) -> Reason:
    if not is_acceptable_key(transaction.public_key):
        return Reason.WEAK_KEY
    return Reason.NONE if verify(transaction.public_key, message, transaction.signature) else Reason.BAD_SIGNATURE
