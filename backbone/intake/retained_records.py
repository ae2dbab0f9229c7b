"""Records that left a partition's place in the store although a vote promised to hold them: kept beside it, and served.

One file a run: the records of one incarnation, in order, as in a segment of the store. A file is complete or not there:
it is written under another name, synced and renamed. Readers in other processes may come while runs are removed.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

from backbone.intake.partition import HeadLike
from backbone.store.files import make_folder, sync_folder
from backbone.store.format import (
    HEADER_SIZE,
    BadFrame,
    encode_record,
    encode_segment_header,
    frames,
    record_of,
    salt_of,
)
from backbone.store.values import StoredRecord, StoreFailed

RUNS_MAX: Final = 32
"""Runs kept of one partition; each is at most a suffix. The oldest go first."""
BYTES_MAX: Final = 512 << 20
"""Bytes kept of one partition, the newest run apart, which is kept whatever its size."""
_NAME: Final = re.compile(r"(\d{5})-(\d{10})-(\d{20})-(\d{20})-([0-9a-f]{64})\.run")


class _Run(NamedTuple):
    """A run by its name: the records from `first` on, up to the head that its last one makes."""

    incarnation: int
    end: int
    first: int
    digest: bytes
    path: Path
    size_bytes: int


class RetainedRecords:
    """The runs below `directory`. One process writes; any number reads. Raises (writing): StoreFailed."""

    def __init__(self, directory: Path, runs_max: int = RUNS_MAX, bytes_max: int = BYTES_MAX) -> None:
        """The folder is made at the first `keep`."""
        self._directory = directory
        self._runs_max, self._bytes_max = runs_max, bytes_max
        self._lock = Lock()
        self._runs: dict[int, list[_Run]] = {}
        for partition, run in _listed(directory):
            self._runs.setdefault(partition, []).append(run)
        self.dropped = 0
        """Runs that went for want of room."""

    def keep(self, partition: int, records: Sequence[StoredRecord]) -> int:
        """Keep records of one incarnation, in order; durable on return. Nothing happens if they are kept already.

        How many older runs went for want of room.
        """
        if not records:
            return 0
        first, last = records[0], records[-1]
        end = last.offset + 1
        name = f"{partition:05}-{last.incarnation:010}-{first.offset:020}-{end:020}-{last.chain_digest.hex()}.run"
        path = self._directory / name
        with self._lock:
            runs = self._runs.setdefault(partition, [])
            if any(run.path == path for run in runs):
                return 0
            size = self._write(path, partition, records)
            runs.append(_Run(last.incarnation, end, first.offset, last.chain_digest, path, size))
            before = len(runs)
            while len(runs) > 1 and (len(runs) > self._runs_max or self._bytes(runs) > self._bytes_max):
                runs.pop(0).path.unlink(missing_ok=True)
            self.dropped += before - len(runs)
            return before - len(runs)

    def find(self, before: HeadLike, target: HeadLike) -> list[StoredRecord] | None:
        """The records above `before` up to `target`, of one partition and incarnation; None if no run has them.

        Whoever asks hashes them again from `before` on: a run may begin above it.
        """
        for partition, run in _listed(self._directory):
            may_hold = partition == target.partition and run.incarnation == target.incarnation
            if may_hold and run.first < target.end_offset <= run.end:
                records = [r for r in _read(run, partition) if before.end_offset <= r.offset < target.end_offset]
                if records and (records[-1].offset + 1, records[-1].chain_digest) == (
                    target.end_offset,
                    target.chain_digest,
                ):
                    return records
        return None

    def settle(self, partition: int, incarnation: int, end_offset: int) -> None:
        """Remove the runs wholly at or below a final head; cheap where there is none."""
        runs = self._runs.get(partition)
        if not runs:
            return
        with self._lock:
            for run in [run for run in runs if (run.incarnation, run.end) <= (incarnation, end_offset)]:
                run.path.unlink(missing_ok=True)
                runs.remove(run)

    @staticmethod
    def _bytes(runs: Sequence[_Run]) -> int:
        return sum(run.size_bytes for run in runs)

    def _write(self, path: Path, partition: int, records: Sequence[StoredRecord]) -> int:
        """The size of the file."""
        header = encode_segment_header(partition, records[0].incarnation, records[0].offset, 0)
        data = b"".join((header, *(encode_record(record, 0, 0) for record in records)))
        beside = path.with_suffix(".new")
        try:
            make_folder(self._directory)
            for torn in self._directory.glob("*.new"):
                torn.unlink()
            with beside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
            sync_folder(self._directory)
        except OSError as error:
            raise StoreFailed(f"Setting records aside in {path} failed: {error}.") from error
        return len(data)


def _listed(directory: Path) -> Iterator[tuple[int, _Run]]:
    """Every run by its partition, oldest first as far as the file system tells."""
    looks = []
    for path in directory.glob("*.run"):
        with suppress(FileNotFoundError):  # removed since it was listed
            look = path.stat()
            looks.append((look.st_mtime_ns, path.name, path, look.st_size))
    for _, name, path, size in sorted(looks):
        found = _NAME.fullmatch(name)
        if found is not None:
            partition, incarnation, first, end = map(int, found.groups()[:4])
            yield partition, _Run(incarnation, end, first, bytes.fromhex(found[5]), path, size)


def _read(run: _Run, partition: int) -> list[StoredRecord]:
    """What a run holds; nothing where it was removed meanwhile or does not read back."""
    try:
        data = run.path.read_bytes()
        if salt_of(data, partition, run.incarnation, run.first) is None:
            return []
        return [record_of(data, frame) for frame in frames(data, HEADER_SIZE, 0)]
    except (FileNotFoundError, BadFrame):
        return []
