"""What the own store holds beyond the heads of the last block given to it: the ground on which heads are judged.

Per partition three packed columns, one entry per record: end offset (8 bytes), chain digest (32), cumulative value
bytes (8); so that thousands of records a second cost little. Lookups are by bisection.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from enum import Enum

from ledger.digests import DIGEST_SIZE
from ledger.header import Head


class Outcome(Enum):
    """What the own store says of a proposed head."""

    CONFIRMED = "confirmed"
    NOT_YET = "not yet read"
    CONTRADICTED = "contradicted"


class _Suffix:
    """One partition. Place 0 is the base, place i the head that the i-th record above it makes."""

    def __init__(self, base: Head) -> None:
        self.base = base
        self._base_bytes = 0
        self._ends = array("Q")
        self._digests = bytearray()
        self._bytes = array("Q")

    def __len__(self) -> int:
        return len(self._ends)

    @property
    def end(self) -> int:
        return self._ends[-1] if self._ends else self.base.end_offset

    def extend(self, entries: Iterable[tuple[int, bytes, int]]) -> None:
        """Records in order: (end offset, chain digest, value bytes)."""
        total = self._bytes[-1] if self._bytes else self._base_bytes
        end = self.end
        for end_offset, digest, size_bytes in entries:
            assert end_offset > end, "the store announces records in order, each once"
            end = end_offset
            total += size_bytes
            self._ends.append(end_offset)
            self._digests += digest
            self._bytes.append(total)

    def place(self, head: Head) -> int | Outcome:
        """Where `head` lies; not CONFIRMED where it does not."""
        if head.incarnation > self.base.incarnation:
            return self._opened(head)
        if head.incarnation < self.base.incarnation:
            return Outcome.CONTRADICTED
        if head.end_offset == self.base.end_offset:
            return 0 if head.chain_digest == self.base.chain_digest else Outcome.CONTRADICTED
        if head.end_offset > self.end:
            return Outcome.NOT_YET
        found = bisect_left(self._ends, head.end_offset)
        if head.end_offset < self.base.end_offset or self._ends[found] != head.end_offset:
            return Outcome.CONTRADICTED
        return found + 1 if self._digest(found) == head.chain_digest else Outcome.CONTRADICTED

    def head(self, place: int) -> Head:
        """The head at a place."""
        if place == 0:
            return self.base
        base = self.base
        return Head(base.partition, base.incarnation, self._ends[place - 1], self._digest(place - 1))

    def _opened(self, head: Head) -> int | Outcome:
        """The place on which a head opens the next incarnation: it has that place's digest and adds nothing to it."""
        if head.incarnation > self.base.incarnation + 1:
            return Outcome.NOT_YET
        if head.chain_digest == self.base.chain_digest:
            return 0
        found = self._digests.find(head.chain_digest)
        while found % DIGEST_SIZE > 0 and found >= 0:
            found = self._digests.find(head.chain_digest, found + 1)
        return Outcome.NOT_YET if found < 0 else found // DIGEST_SIZE + 1

    def bytes_between(self, low: int, high: int) -> int:
        """Value bytes of the records above place `low`, up to place `high`."""
        return self._bytes_at(high) - self._bytes_at(low)

    def reach(self, low: int, records_max: int, bytes_max: int) -> int:
        """The highest place that takes no more than so many records and bytes above `low`."""
        by_bytes = bisect_right(self._bytes, self._bytes_at(low) + bytes_max, low)
        return min(low + records_max, by_bytes)

    def settle(self, place: int) -> None:
        """Make `place` the base and forget what is below it."""
        if place == 0:
            return
        self.base, self._base_bytes = self.head(place), self._bytes_at(place)
        del self._ends[:place], self._bytes[:place]
        del self._digests[: place * DIGEST_SIZE]

    def _bytes_at(self, place: int) -> int:
        return self._bytes[place - 1] if place else self._base_bytes

    def _digest(self, index: int) -> bytes:
        return bytes(self._digests[index * DIGEST_SIZE : (index + 1) * DIGEST_SIZE])


class LocalHeads:
    """All partitions, from the heads of the last block that was given to the store."""

    def __init__(self, base: Sequence[Head]) -> None:
        self._suffixes = [_Suffix(head) for head in base]

    def __len__(self) -> int:
        return len(self._suffixes)

    def advance(self, partition: int, entries: Iterable[tuple[int, bytes, int]]) -> None:
        """Records that have become durable, behind those announced before; what is at or below the base is known."""
        base = self._suffixes[partition].base.end_offset
        self._suffixes[partition].extend(entry for entry in entries if entry[0] > base)

    def base(self, partition: int) -> Head:
        """The partition's head in the last block that was given to the store."""
        return self._suffixes[partition].base

    def end(self, partition: int) -> int:
        """Where the records end that are held of a partition."""
        return self._suffixes[partition].end

    def records(self) -> int:
        """How many records are held above the base."""
        return sum(map(len, self._suffixes))

    def reaches_beyond(self, heads: Sequence[Head]) -> bool:
        """Whether some partition holds a record above `heads`."""
        return any(
            suffix.base.incarnation == head.incarnation and suffix.end > head.end_offset
            for suffix, head in zip(self._suffixes, heads, strict=True)
        )

    def holds_any(self, partition: int) -> bool:
        """Whether records of the partition are held above its base."""
        return len(self._suffixes[partition]) > 0

    def outcome(self, heads: Sequence[Head]) -> Outcome:
        """CONFIRMED if all are; CONTRADICTED if any is."""
        places = [suffix.place(head) for suffix, head in zip(self._suffixes, heads, strict=True)]
        if Outcome.CONTRADICTED in places:
            return Outcome.CONTRADICTED
        return Outcome.NOT_YET if Outcome.NOT_YET in places else Outcome.CONFIRMED

    def outcome_of(self, head: Head) -> Outcome:
        """Of one partition's head."""
        place = self._suffixes[head.partition].place(head)
        return place if isinstance(place, Outcome) else Outcome.CONFIRMED

    def amount(self, parent: Sequence[Head], heads: Sequence[Head]) -> tuple[int, int]:
        """(records, value bytes) of a block: its heads and its parent's are confirmed, and none goes back."""
        lows, highs = self._places(parent), self._places(heads)
        assert lows is not None
        assert highs is not None
        ranges = list(zip(self._suffixes, lows, highs, strict=True))
        return sum(high - low for _, low, high in ranges), sum(s.bytes_between(low, high) for s, low, high in ranges)

    def prefix(self, parent: Sequence[Head], first: int, records_max: int, bytes_max: int) -> tuple[Head, ...] | None:
        """The heads of the longest block on `parent`, partitions in turn from `first` mod P.

        None if there is nothing to add, or the parent's heads are not confirmed. Where the first partition that has
        anything goes on with a record larger than `bytes_max`, this makes a block alone: no others' traffic may keep it
        waiting. A partition whose next incarnation was opened stays as it is until that is final.
        """
        lows = self._places(parent)
        if lows is None or not self.reaches_beyond(parent):
            return None
        count = len(self._suffixes)
        turn = [(first + step) % count for step in range(count)]
        turn = [partition for partition in turn if self.base(partition).incarnation == parent[partition].incarnation]
        turn = [partition for partition in turn if len(self._suffixes[partition]) > lows[partition]]
        highs = list(lows)
        records_left, bytes_left = records_max, bytes_max
        for partition in turn:
            suffix, low = self._suffixes[partition], lows[partition]
            high = highs[partition] = suffix.reach(low, records_left, bytes_left)
            if highs == lows:
                highs[partition] += 1
                break
            records_left -= high - low
            bytes_left -= suffix.bytes_between(low, high)
        return tuple(
            self._suffixes[partition].head(highs[partition]) if partition in turn else head
            for partition, head in enumerate(parent)
        )

    def settle(self, heads: Sequence[Head]) -> None:
        """Move the base up to confirmed heads."""
        for partition, head in enumerate(heads):
            suffix = self._suffixes[partition]
            place = suffix.place(head)
            assert isinstance(place, int), "only confirmed heads are settled"
            if head.incarnation == suffix.base.incarnation:
                suffix.settle(place)
            else:
                self._suffixes[partition] = _Suffix(head)

    def forget(self, partition: int) -> None:
        """Drop the records above the base: some are read again, and then all are reported again."""
        self._suffixes[partition] = _Suffix(self._suffixes[partition].base)

    def _places(self, heads: Sequence[Head]) -> list[int] | None:
        places: list[int] = []
        for suffix, head in zip(self._suffixes, heads, strict=True):
            place = suffix.place(head)
            if isinstance(place, Outcome):
                return None
            places.append(place)
        return places
