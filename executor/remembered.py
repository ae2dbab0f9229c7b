"""The digests that may not execute again, and their expiry buckets.

The database remembers them; here are only those that it does not answer for yet (their flush is in flight), those
that the last prefetch found, and the count and running hash of every bucket in use.
"""

from collections import deque
from collections.abc import Collection, Mapping
from typing import Final

from ledger import digests
from ledger.state import bucket_of

_EMPTY_BUCKET: Final = (0, bytes(32))


class Remembered:
    """Digests stay here until a prefetch that starts after their flush: only that one is sure to see them."""

    def __init__(self) -> None:
        self._recent: set[bytes] = set()
        self._found: Collection[bytes] = frozenset()
        self._in_flight: deque[list[bytes]] = deque()
        self._durable: list[list[bytes]] = []
        self._group: list[tuple[int, bytes, int, int]] = []
        self._buckets: dict[int, tuple[int, bytes]] = {}
        self._changed: dict[int, None] = {}
        self._wanted: dict[bytes, int] = {}  # digest -> bucket
        self._wanted_buckets: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._recent) + len(self._buckets)

    @property
    def is_in_flight(self) -> bool:
        """Effects were handed out whose flush is not known to be durable."""
        return bool(self._in_flight)

    @property
    def is_learned(self) -> bool:
        """Everything asked for is known."""
        return not self._wanted and not self._wanted_buckets

    def start_wanting(self) -> None:
        """A prefetch will start: what is durable by now, it will find."""
        for group in self._durable:
            self._recent.difference_update(group)
        self._durable.clear()

    def want(self, digest: bytes, expires_at_ms: int) -> None:
        """Ask whether a digest is remembered, and for its bucket."""
        bucket = bucket_of(expires_at_ms)
        if digest not in self._recent:
            self._wanted[digest] = bucket
        if bucket not in self._buckets:
            self._wanted_buckets[bucket] = None

    def wanted(self) -> tuple[tuple[int, bytes], ...]:
        """(bucket, digest) asked for, in order."""
        return tuple((bucket, digest) for digest, bucket in self._wanted.items())

    def wanted_buckets(self) -> tuple[int, ...]:
        """The buckets asked for, in order."""
        return tuple(self._wanted_buckets)

    def learn(self, found: Collection[bytes], buckets: Mapping[int, tuple[int, bytes]]) -> None:
        """All that is wanted: the digests that the database remembers, and the buckets that it has."""
        self._found = found
        for bucket in self._wanted_buckets:
            self._buckets[bucket] = buckets.get(bucket, _EMPTY_BUCKET)
        self._wanted.clear()
        self._wanted_buckets.clear()

    def holds(self, digest: bytes) -> bool:
        """The digest has been used; only for one that was asked for."""
        return digest in self._recent or digest in self._found

    def add(self, digest: bytes, expires_at_ms: int, height: int) -> None:
        """Remember a digest, in execution order."""
        bucket = bucket_of(expires_at_ms)
        count, running = self._buckets[bucket]
        self._buckets[bucket] = (count + 1, digests.remembered_next(running, height, digest))
        self._changed[bucket] = None
        self._recent.add(digest)
        self._group.append((bucket, digest, height, count))

    def expire(self, below: int) -> None:
        """Forget the buckets below; their digests need no test any more, the window rejects them first."""
        for bucket in [bucket for bucket in self._buckets if bucket < below]:
            del self._buckets[bucket]
            self._changed.pop(bucket, None)

    def changes(self, below: int) -> tuple[tuple[tuple[int, bytes, int, int], ...], dict[int, tuple[int, bytes]]]:
        """(remembered, changed buckets) since the last call, without what is `below` already; now in flight."""
        remembered = tuple(row for row in self._group if row[0] >= below)
        buckets = {bucket: self._buckets[bucket] for bucket in self._changed}
        self._in_flight.append([digest for _, digest, _, _ in self._group])
        self._group.clear()
        self._changed.clear()
        return remembered, buckets

    def committed(self) -> None:
        """The oldest group in flight is durable."""
        self._durable.append(self._in_flight.popleft())
