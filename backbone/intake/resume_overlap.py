"""Where a reader of the log begins: at records that the store holds, which the log must show again, in order."""

from collections.abc import Iterator
from typing import Final

from backbone.intake.partition import Partition
from backbone.log import LogRecord
from backbone.store import StoredRecord, StoreReader

FINAL_OFFSETS: Final = 256
"""So far below the final head a new reader begins. One record that agrees says little of those before it: what was lost
and sent again may have come to lie where it lay by chance; so many in a row do not."""


class Joint:
    """Of one partition; `offset` is that of the next record to be shown."""

    def __init__(self, first: StoredRecord, others: Iterator[StoredRecord]) -> None:
        self._next: StoredRecord | None = first
        self._others = others
        self.offset = first.offset

    @property
    def is_complete(self) -> bool:
        """Everything was shown."""
        return self._next is None

    def is_shown_by(self, record: LogRecord) -> bool:
        """Whether `record` is the next one; then the one after it is to come."""
        if self._next is None or (record.offset, record.value) != (self._next.offset, self._next.value):
            return False
        self._next = next(self._others, None)
        self.offset = record.offset if self._next is None else self._next.offset
        return True


def joint_of(state: Partition, stored: StoreReader, is_new: bool) -> Joint | None:
    """The last record that is held; of a new reader all above the final head and the last ones below it: records that
    were lost and sent again may lie where they lay. None without records, and where the log is in doubt anyway.
    """
    if state.end_offset <= state.source.first_offset or state.is_suspect:
        return None
    first = min(state.end_offset, state.final_offset) if is_new else state.end_offset
    first = max(first - (FINAL_OFFSETS if is_new else 1), state.source.first_offset)
    return joint_in(stored, state.number, first, state.end_offset, state.incarnation)


def joint_in(stored: StoreReader, partition: int, first: int, end_offset: int, incarnation: int) -> Joint | None:
    """All records of first <= offset < end_offset; None if there are none."""
    records = stored.held(partition, first, end_offset, incarnation)
    found = next(records, None)
    return None if found is None else Joint(found, records)
