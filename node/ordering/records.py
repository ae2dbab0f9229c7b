"""Where a validator finds records that the log does not show: beside its own store, then with others."""

from collections.abc import Sequence

from backbone.intake.retained_records import RetainedRecords
from backbone.store import StoredRecord
from consensus.runtime.ports import RecordSource
from consensus.runtime.range_check import leads
from ledger.header import Head


class OwnRecords:
    """What was set aside here."""

    def __init__(self, retained: RetainedRecords) -> None:
        self._retained = retained

    def fetch(self, before: Head, target: Head) -> Sequence[StoredRecord] | None:
        """See `RecordSource`."""
        found = self._retained.find(before, target)
        return found if found is not None and leads(before, found, target) else None


class FirstOf:
    """Asks one source after the other."""

    def __init__(self, sources: Sequence[RecordSource]) -> None:
        self._sources = tuple(sources)

    def fetch(self, before: Head, target: Head) -> Sequence[StoredRecord] | None:
        """See `RecordSource`."""
        for source in self._sources:
            found = source.fetch(before, target)
            if found is not None:
                return found
        return None
