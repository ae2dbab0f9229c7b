"""Where the reading of one partition stands: its head, the suffix above the final head, what is known to be wrong."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

from backbone.store import Entry
from backbone.store.prune import PartitionEnd


class HeadLike(PartitionEnd, Protocol):
    """A log head, of whichever layer."""

    @property
    def chain_digest(self) -> bytes: ...


class OpeningLike(Protocol):
    """The opening of a partition's next incarnation, of whichever layer."""

    @property
    def partition(self) -> int: ...
    @property
    def topic_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Source:
    """Where a partition's current incarnation lies in the log: its topic's id, and its first offset that is there."""

    topic_id: str
    first_offset: int = 0


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """Bounds of what one partition holds above its final head; one batch may go beyond them.

    They must exceed what one block may take: else a block whose records were not all read would wait for room, and
    the room for the block (`above_a_block`).
    """

    suffix_records_max: int = 200_000
    suffix_bytes_max: int = 128 << 20

    def above_a_block(self, records_max: int, bytes_max: int) -> "IntakeLimits":
        """These bounds, raised to twice what one block may take where they are below."""
        return IntakeLimits(max(self.suffix_records_max, 2 * records_max), max(self.suffix_bytes_max, 2 * bytes_max))


@dataclass(slots=True)
class Partition:
    """The next read begins at `end_offset`, whose chain digest is `chain_digest`; `final` is the final head's."""

    number: int
    incarnation: int
    source: Source
    end_offset: int
    chain_digest: bytes
    final_offset: int
    final_digest: bytes
    suffix: deque[tuple[int, int]] = field(default_factory=deque)
    """(end offset, size in bytes) of each record above the final head."""
    suffix_bytes: int = 0
    taken_records: int = 0
    """Since the start, with what was found above the final head then."""
    taken_bytes: int = 0
    is_full: bool = False
    is_suspect: bool = False
    """The log was seen not to continue, or not to show, what the store holds."""
    is_barred: bool = False
    """The log was seen not to be readable from our head on."""
    probe_due_ms: int = 0
    silent_until_ms: int = 0
    """Until when it is not looked at, since the log did not answer."""
    look_to: int | None = None
    """Up to which offset what is not final is compared; None: all of it."""
    looks: int = 0
    """How often it was looked at in vain."""
    asked: int = 0
    """How often somebody wanted to know what is seen, new or not. Others ask while the log is looked at."""
    answered: int = 0
    """Up to which of these it was told."""
    shown: tuple[str, int] | None = None
    diverged_at: int | None = None
    """From which offset on, above the final head, the log was seen not to show what is stored."""

    @property
    def is_open(self) -> bool:
        """Whether the log is to be read for it."""
        return not self.is_full and not self.is_barred

    def begin_at(self, head: HeadLike) -> None:
        """Go on behind a head of this incarnation."""
        self.end_offset, self.chain_digest = head.end_offset, head.chain_digest

    def extend(self, entries: Iterable[Entry]) -> None:
        """Records that the store has taken, in order."""
        for end_offset, digest, size_bytes in entries:
            if end_offset > self.final_offset:
                self.suffix.append((end_offset, size_bytes))
                self.suffix_bytes += size_bytes
            self.end_offset, self.chain_digest = end_offset, digest
            self.taken_records += 1
            self.taken_bytes += size_bytes

    def finalize(self, head: HeadLike) -> None:
        """A final head of this incarnation: what is below is no suffix."""
        if head.end_offset > self.final_offset:
            self.final_offset, self.final_digest = head.end_offset, head.chain_digest
        while self.suffix and self.suffix[0][0] <= head.end_offset:
            self.suffix_bytes -= self.suffix.popleft()[1]

    def shrink(self, end_offset: int) -> None:
        """Forget the suffix above an offset."""
        while self.suffix and self.suffix[-1][0] > end_offset:
            self.suffix_bytes -= self.suffix.pop()[1]

    def weigh(self, limits: IntakeLimits) -> None:
        """Full at a bound, and again open at half of both."""
        share = 2 if self.is_full else 1
        self.is_full = (
            len(self.suffix) * share >= limits.suffix_records_max
            or self.suffix_bytes * share >= limits.suffix_bytes_max
        )

    def suspect(self, end_offset: int | None = None) -> None:
        """Have it looked at, at once; of what is not final only what lies below `end_offset`, if given."""
        self.look_to = None if end_offset is None else max(end_offset, self.final_offset)
        self.is_suspect, self.probe_due_ms, self.looks = True, 0, 0

    def ask(self, end_offset: int | None = None) -> None:
        """As `suspect`, and have it told what is seen. From any thread."""
        self.asked += 1
        if not self.is_suspect:
            self.suspect(end_offset)
        else:
            self.suspect(None if end_offset is None or self.look_to is None else max(end_offset, self.look_to))

    def on_look(
        self, source: Source, opening: tuple[str, int] | None, diverged_at: int | None, *, is_readable: bool, asked: int
    ) -> None:
        """What a look saw that began when so many had asked. Whoever asked meanwhile is owed another look."""
        self.source, self.shown, self.diverged_at = source, opening, diverged_at
        self.is_barred = not is_readable
        self.is_suspect = self.is_barred or self.asked != asked
        self.look_to = self.look_to if self.asked != asked else None
