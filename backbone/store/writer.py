"""The writing side of the store: one process, held to it by a lock file.

The chain digests come with the records. The store could compute them, but would then need the chain function, the
start of every partition and the genesis they hang on; whoever reads the log has all three anyway, and the store stays
what it is: a keeper of bytes in a strict order.
"""

from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from types import TracebackType

from backbone.store.files import (
    DiskFile,
    OpenFile,
    WriterLock,
    certificate_folder,
    final_folder,
    make_folder,
    partition_folder,
)
from backbone.store.format import (
    CERTIFICATE_LOG,
    FINAL_LOG,
    certificate_of,
    encode_certificate,
    encode_final,
    encode_record,
    frames,
    record_of,
)
from backbone.store.segments import SegmentLog
from backbone.store.values import VALUE_BYTES_MAX, LogHead, StoredCertificate, StoredFinal, StoredRecord, check_size

SEGMENT_BYTES = 64 << 20
"""A segment rolls once it has this size; the last append may take it above."""


class StoreWriter:
    """Appends records and final blocks. Threads may share it: records have one lock, final blocks another.

    Raises (all writing): StoreFailed. At opening: StoreLocked, StoreDamaged, StoreFailed.
    """

    def __init__(self, directory: Path, segment_bytes: int = SEGMENT_BYTES, open_file: OpenFile = DiskFile) -> None:
        """Open the store at `directory`, made if it is not there; torn ends are cut and the rest is made durable."""
        make_folder(directory)
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._open_file = open_file
        self._records_lock = Lock()
        self._final_lock = Lock()
        self._partitions: dict[int, SegmentLog] = {}
        self._owner = WriterLock(directory)
        try:
            self._final = SegmentLog(final_folder(directory), FINAL_LOG, segment_bytes, open_file)
            self._certificates = SegmentLog(certificate_folder(directory), CERTIFICATE_LOG, segment_bytes, open_file)
            for folder in sorted(directory.glob("partition-*")):
                self._log(int(folder.name.removeprefix("partition-")))
        except BaseException:
            self._owner.close()
            raise

    def append(self, partition: int, records: Sequence[StoredRecord]) -> None:
        """Write records behind the head of `partition`; not durable before `sync`.

        (incarnation, offset) must rise strictly, and one call holds one incarnation. Raises: ValueError where that
        is not so, ValueTooLarge; then nothing was written.
        """
        if not records:
            return
        with self._records_lock:
            log = self._log(partition)
            self._check(log, records)
            first, last = records[0], records[-1]
            flag = log.make_room(first.incarnation, first.offset)
            salt = log.salt
            encoded = [encode_record(record, 0, salt) for record in records]
            encoded[0] = encode_record(first, flag, salt)
            log.write(encoded, (last.incarnation, last.offset))

    def sync(self) -> None:
        """Make every record that was appended durable."""
        with self._records_lock:
            for log in self._partitions.values():
                log.sync()

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        """Write a final block, durably. The records below its heads have been synced: readers rely on it.

        Raises: ValueError unless `height` follows the last one (the first of a store may be any from 1 on).
        """
        with self._final_lock:
            log = self._final
            expected = height if log.last is None else log.last[1] + 1
            if height != expected or height < 1:
                raise ValueError(f"The next final block of this store has height {expected}, not {height}.")
            check_size(f"The block of height {height}", len(header_bytes) + len(proof))
            flag = log.make_room(0, height)
            log.write([encode_final(StoredFinal(height, header_bytes, proof), flag, log.salt)], (0, height))
            log.sync()

    def append_certificate(self, height: int, certificate: bytes) -> None:
        """Write the certificate of a checkpoint, durably. Raises: ValueError unless it is above the last one."""
        with self._final_lock:
            log = self._certificates
            if log.last is not None and height <= log.last[1]:
                raise ValueError(f"The last certificate has height {log.last[1]}, this one {height}.")
            check_size(f"The certificate of height {height}", len(certificate))
            flag = log.make_room(0, height)
            log.write([encode_certificate(StoredCertificate(height, certificate), flag, log.salt)], (0, height))
            log.sync()

    def last_certificate(self) -> bytes | None:
        """The newest certificate; None if there is none."""
        with self._final_lock:
            log = self._certificates
            if log.last is None:
                return None
            return certificate_of(log.last_frame, next(frames(log.last_frame, 0, log.salt))).certificate

    def head(self, partition: int) -> LogHead | None:
        """The head that the last record of `partition` makes; None if there is no record."""
        with self._records_lock:
            log = self._partitions.get(partition)
            if log is None or log.last is None:
                return None
            record = record_of(log.last_frame, next(frames(log.last_frame, 0, log.salt)))
            return LogHead(partition, record.incarnation, record.offset + 1, record.chain_digest)

    def last_height(self) -> int:
        """The height of the last final block; 0 if there is none."""
        with self._final_lock:
            return 0 if self._final.last is None else self._final.last[1]

    def replace_suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> None:
        """Drop the records at or above (incarnation, from_offset), durably, so that others can take their place.

        Only above the last final head: readers in other processes hold positions below it. After a crash on the way
        some of the records may still be there, never one without those before it.
        """
        with self._records_lock:
            self._log(partition).cut((incarnation, from_offset))

    def close(self) -> None:
        """Give up the lock. What was not synced may be lost if the machine stops."""
        for log in (*self._partitions.values(), self._final, self._certificates):
            log.close()
        self._owner.close()

    def __enter__(self) -> "StoreWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _log(self, partition: int) -> SegmentLog:
        log = self._partitions.get(partition)
        if log is None:
            folder = partition_folder(self._directory, partition)
            log = SegmentLog(folder, partition, self._segment_bytes, self._open_file)
            self._partitions[partition] = log
        return log

    def _check(self, log: SegmentLog, records: Sequence[StoredRecord]) -> None:
        incarnation = records[0].incarnation
        before = -1 if log.last is None or log.last[0] < incarnation else log.last[1]
        if log.last is not None and log.last[0] > incarnation:
            raise ValueError(f"Incarnation {incarnation} is behind the head {log.last}.")
        for record in records:
            if record.offset <= before or record.incarnation != incarnation:
                raise ValueError(f"Record ({record.incarnation}, {record.offset}) does not follow offset {before}.")
            before = record.offset
            if record.value is not None and len(record.value) > VALUE_BYTES_MAX:
                check_size(f"The value at offset {record.offset}", len(record.value))
