"""Writing to a topic of one's own, each batch whole and once, while another process may believe that it is the writer.

No order to the log keeps a batch from being written twice: a writer that has failed, or was killed, is made anew and
asks the topic what is in it. Making one *fences* every earlier one of the same name: it cannot append any more.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

from backbone.log import Log, LogRecord
from ledger.errors import Halt

LOOK_BACK: Final = 200
"""Records in the first look back from the end; each further look is at twice as many."""

Item = tuple[bytes, bytes]
"""Key and value."""


class Fenced(Halt):
    """A later writer of the same name was made: this one has appended nothing, and never will again."""


class FencedWriter(Protocol):
    """Of partition 0 of one topic. Used by one thread at a time. After any exception of `append` make a new one."""

    def newest_first(self) -> Iterator[LogRecord]:
        """The committed records from the end of the topic backwards. Raises: LogUnavailable, TopicMissing."""

    def append(self, items: Sequence[Item]) -> None:
        """All of them, in order, or none. Raises: Fenced; LogUnavailable: then either of the two may be so."""

    def close(self) -> None: ...


class FencingLog(Log, Protocol):
    """A log that can write so."""

    def fenced_writer(self, topic: str, name: str) -> FencedWriter:
        """Raises: TopicMissing, LogUnavailable."""


def windows(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Ranges of offsets [low, high) from `end` back to `begin`, ever larger."""
    size = LOOK_BACK
    while end > begin:
        low = max(begin, end - size)
        yield low, end
        end, size = low, 2 * size
