"""Signed transactions and the records that carry them (docs/formats.md).

In: commands and a key, or a record's value from anybody. Out: bytes, or checked values; bad bytes are Rejections.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ledger import digests
from ledger.commands import Command
from ledger.commands.avro import from_avro, to_avro
from ledger.commands.costs import is_too_costly
from ledger.commands.rules import check_command
from ledger.encoding.canonical import Refused, read_bytes, read_long
from ledger.encoding.codec import PREFIX_SIZE, Codec
from ledger.genesis import Limits
from ledger.keys import PrivateKey
from ledger.rejection import Reason, Rejection

NONCE_SIZE: Final = 16
REFERENCE_SIZE_MAX: Final = 64

_BODY: Final = Codec("Body")
_TRANSACTION: Final = Codec("Transaction")
_BATCH: Final = Codec("TransactionBatch")


@dataclass(frozen=True, slots=True)
class Body:
    """What a client signs. `nonce` is 16 bytes of salt, `reference` 0 to 64 bytes of the client's own."""

    nonce: bytes
    expires_at_ms: int
    reference: bytes
    commands: tuple[Command, ...]


@dataclass(frozen=True, slots=True)
class Transaction:
    """`body` is the canonical Avro of a Body, as it was signed; nothing here says that the signature is good."""

    body: bytes
    public_key: bytes
    signature: bytes

    @property
    def signer(self) -> bytes:
        """The address of the key."""
        return digests.address_of(self.public_key)


def encode_body(body: Body) -> bytes:
    """The bytes to sign. Ranges are not checked: `check_body` does that. Raises: as `Codec.encode`."""
    return _BODY.encode(
        {
            "nonce": body.nonce,
            "expires_at_ms": body.expires_at_ms,
            "reference": body.reference,
            "commands": [to_avro(command) for command in body.commands],
        }
    )


def decode_body(data: bytes, limits: Limits) -> Body | Rejection:
    """The body of canonical bytes whose values are all in range, and which costs no more than it may."""
    if _announced_commands(data) > limits.commands_max:
        return Rejection(Reason.COMMANDS_COUNT)  # before they take memory
    value = _BODY.decode(data, limits.record_bytes_max)
    if isinstance(value, Rejection):
        return value
    if not 1 <= len(value["commands"]) <= limits.commands_max:
        return Rejection(Reason.COMMANDS_COUNT)
    value["commands"] = tuple(map(from_avro, value["commands"]))
    body = Body(**value)
    return _check_values(body, limits) or _check_cost(body, len(data)) or body


def _announced_commands(data: bytes) -> int:
    """How many commands a body says that it has; 0 where it cannot be read so far."""
    try:
        _, at = read_long(data, NONCE_SIZE)
        _, at = read_bytes(data, at)
        return int(read_long(data, at)[0])
    except (Refused, IndexError):
        return 0


def check_body(body: Body, limits: Limits) -> Rejection | None:
    """Why nodes would reject a body, for those who build one; None: they would not."""
    return _check_values(body, limits) or _check_cost(body, len(encode_body(body)))


def _check_cost(body: Body, size_bytes: int) -> Rejection | None:
    return Rejection(Reason.TOO_COSTLY) if is_too_costly(body.commands, size_bytes) else None


def _check_values(body: Body, limits: Limits) -> Rejection | None:
    if not 1 <= len(body.commands) <= limits.commands_max:
        return Rejection(Reason.COMMANDS_COUNT)
    if len(body.reference) > REFERENCE_SIZE_MAX:
        return Rejection(Reason.FIELD_RANGE, "reference")
    for command in body.commands:
        rejection = check_command(command, limits)
        if rejection is not None:
            return rejection
    return None


def sign_body(key: PrivateKey, genesis_digest: bytes, body: Body) -> Transaction:
    """The body, signed for one chain. Raises: as `Codec.encode`."""
    data = encode_body(body)
    return Transaction(
        data, key.public_key, key.sign(digests.transaction_message(genesis_digest, key.public_key, data))
    )


def digest_of(genesis_digest: bytes, transaction: Transaction) -> bytes:
    """The transaction's digest on one chain; it does not cover the signature."""
    return digests.transaction_digest(genesis_digest, transaction.public_key, transaction.body)


def encode_transaction(transaction: Transaction) -> bytes:
    """A record's value: one transaction."""
    return _TRANSACTION.encode_single(_to_avro(transaction))


def encode_batch(transactions: Sequence[Transaction]) -> bytes:
    """A record's value: a batch. Items are independent, and are judged and executed in order."""
    return _BATCH.encode_single({"transactions": [_to_avro(transaction) for transaction in transactions]})


def decode_record(value: bytes | None, limits: Limits) -> tuple[Transaction, ...] | Rejection:
    """The transactions of a record's value: one, or 1 to batch_max. Their bodies are not looked into."""
    if value is None:
        return Rejection(Reason.NULL_VALUE)
    if len(value) <= limits.record_bytes_max and value[:PREFIX_SIZE] == _BATCH.prefix:
        return _decode_batch(value, limits)
    single = _TRANSACTION.decode_single(value, limits.record_bytes_max)
    return single if isinstance(single, Rejection) else (Transaction(**single),)


def _decode_batch(value: bytes, limits: Limits) -> tuple[Transaction, ...] | Rejection:
    batch = _BATCH.decode_single(value, limits.record_bytes_max)
    if isinstance(batch, Rejection):
        return batch
    items = batch["transactions"]
    if not 1 <= len(items) <= limits.batch_max:
        return Rejection(Reason.BATCH_SIZE, f"{len(items)} transactions")
    return tuple(Transaction(**item) for item in items)


def _to_avro(transaction: Transaction) -> dict[str, bytes]:
    return {
        "body": transaction.body,
        "public_key": transaction.public_key,
        "signature": transaction.signature,
    }
