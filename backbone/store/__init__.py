"""The store: what a node has read of the log, and the final blocks; the only thing that its two processes share.

One process writes it (`StoreWriter`), any number read it (`StoreReader`). `format` says which bytes.
"""

from backbone.store.reader import StoreReader
from backbone.store.values import (
    VALUE_BYTES_MAX,
    Entry,
    LogHead,
    StoreDamaged,
    StoredCertificate,
    StoredFinal,
    StoredRecord,
    StoreFailed,
    StoreLocked,
    ValueTooLarge,
)
from backbone.store.writer import SEGMENT_BYTES, StoreWriter

__all__ = [
    "SEGMENT_BYTES",
    "VALUE_BYTES_MAX",
    "Entry",
    "LogHead",
    "StoreDamaged",
    "StoreFailed",
    "StoreLocked",
    "StoreReader",
    "StoreWriter",
    "StoredCertificate",
    "StoredFinal",
    "StoredRecord",
    "ValueTooLarge",
]
