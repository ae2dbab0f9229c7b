"""What a client has been given and the log has not acknowledged: batches, bounded. No thread, clock or log here."""

from collections import deque
from dataclasses import dataclass, field
from hashlib import sha256

from ledger.digests import address_of
from ledger.errors import CallerError, Unavailable
from ledger.genesis import Limits
from ledger.rejection import Rejection
from ledger.transaction import Transaction, decode_record, encode_batch, encode_transaction

_ENVELOPE_BYTES_MAX = 128  # key, signature and length prefixes around a body
_BATCH_BYTES_MAX = 64  # prefix and block counts around the items


class BackPressure(Unavailable):
    """The client holds as much as it may; the transaction was NOT taken. Wait, then submit it again."""


class TooLarge(CallerError, ValueError):
    """The transaction would not fit into a record of this chain; it was not taken."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where the log has put a transaction. `item` is its index within a batch, 0 where the record holds only it."""

    partition: int
    offset: int
    item: int


@dataclass(slots=True, eq=False)
class Submission:
    """One transaction on its way. Each field is set once; times are seconds of `time.monotonic`.

    `position`: the log acknowledged it there. `height`: a verified final header at that height reaches past the
    position. `failure`: the log did not acknowledge it in time; it may have been appended all the same.
    """

    digest: bytes
    size_bytes: int
    submitted_at: float
    position: Position | None = None
    delivered_at: float | None = None
    height: int | None = None
    final_at: float | None = None
    failure: str | None = None


@dataclass(slots=True, eq=False)
class Record:
    """One record of the log: one transaction or a batch, with who waits for it."""

    partition: int
    key: bytes
    value: bytes
    submissions: tuple[Submission, ...]
    first_at: float


@dataclass(slots=True)
class _Batch:
    opened_at: float
    key: bytes
    transactions: list[Transaction] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    size_bytes: int = _BATCH_BYTES_MAX


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """When a batch is closed: at `transactions_max`, at `bytes_max`, or `linger_ms` after its first transaction."""

    transactions_max: int
    bytes_max: int
    linger_ms: int

    def within(self, limits: Limits) -> "BatchLimits":
        """These limits, cut to what the chain allows."""
        return BatchLimits(
            min(self.transactions_max, limits.batch_max), min(self.bytes_max, limits.record_bytes_max), self.linger_ms
        )


def partition_of(address: bytes, partitions: int) -> int:
    """The partition of a signer's records: the first 4 bytes of SHA-256(address), big-endian, mod `partitions`.

    A convention among clients that keeps a signer's order; no node relies on it.
    """
    return int.from_bytes(sha256(address).digest()[:4], "big") % partitions


def alone(record: Record, limits: Limits) -> list[Record]:
    """A batch as a record for each of its transactions, in order."""
    transactions = decode_record(record.value, limits)
    assert not isinstance(transactions, Rejection), "it was encoded here"
    return [
        Record(record.partition, address_of(one.public_key), encode_transaction(one), (submission,), record.first_at)
        for one, submission in zip(transactions, record.submissions, strict=True)
    ]


class Outbox:
    """Transactions that wait for their batch, per partition, and records to be sent (again), oldest first."""

    def __init__(self, partitions: int, limits: BatchLimits, record_bytes_max: int) -> None:
        self._partitions = partitions
        self._limits = limits
        self._record_bytes_max = record_bytes_max
        self._open: dict[int, _Batch] = {}
        self._closed: deque[Record] = deque()
        self._again: deque[Record] = deque()

    def add(self, transaction: Transaction, digest: bytes, now: float) -> Submission:
        """Take a transaction into its signer's partition's batch. Raises: TooLarge."""
        size = len(transaction.body) + _ENVELOPE_BYTES_MAX
        if size > self._record_bytes_max:
            raise TooLarge(f"a transaction of {size} bytes; this chain's records hold {self._record_bytes_max}")
        key = address_of(transaction.public_key)
        partition = partition_of(key, self._partitions)
        batch = self._batch_with_room(partition, key, size, now)
        submission = Submission(digest, size, now)
        batch.transactions.append(transaction)
        batch.submissions.append(submission)
        batch.size_bytes += size
        if len(batch.transactions) >= self._limits.transactions_max:
            self._close(partition)
        return submission

    def add_again(self, records: list[Record]) -> None:
        """Records whose fate is unknown: they go first, in their old order. A digest executes once, so a record
        that the log holds twice does no harm."""
        self._again.extend(records)

    def take(self, now: float, everything: bool = False) -> list[Record]:
        """The records to send now: all closed batches, and the open ones that lingered long enough."""
        linger = self._limits.linger_ms / 1000
        for partition in [p for p, b in self._open.items() if everything or now - b.opened_at >= linger]:
            self._close(partition)
        records = [*self._again, *self._closed]
        self._again.clear()
        self._closed.clear()
        return records

    @property
    def is_empty(self) -> bool:
        """Nothing waits, neither in a batch nor to be sent."""
        return not (self._open or self._closed or self._again)

    @property
    def has_closed(self) -> bool:
        """Something may be sent at once."""
        return bool(self._closed or self._again)

    def _batch_with_room(self, partition: int, key: bytes, size: int, now: float) -> _Batch:
        batch = self._open.get(partition)
        if batch is not None and batch.size_bytes + size > self._limits.bytes_max:
            self._close(partition)
            batch = None
        if batch is None:
            batch = self._open[partition] = _Batch(now, key)
        return batch

    def _close(self, partition: int) -> None:
        batch = self._open.pop(partition)
        one = len(batch.transactions) == 1
        value = encode_transaction(batch.transactions[0]) if one else encode_batch(batch.transactions)
        self._closed.append(Record(partition, batch.key, value, tuple(batch.submissions), batch.opened_at))
