"""What an intake runs over."""

from collections.abc import Callable
from dataclasses import dataclass

from backbone.intake.retained_records import RetainedRecords
from backbone.log import ReadableLog
from backbone.store import StoreReader, StoreWriter
from backbone.threads import REAL, Threads

Chain = Callable[[bytes, int, int, bytes | None], bytes]
"""(chain digest before, incarnation, offset, value) -> the chain digest after that record."""


@dataclass(frozen=True, slots=True)
class IntakeParts:
    """What an intake runs over; none of it is closed here. `stored` is the intake's own."""

    log: ReadableLog
    topic: str
    writer: StoreWriter
    stored: StoreReader
    retained: RetainedRecords
    chain: Chain
    threads: Threads = REAL
