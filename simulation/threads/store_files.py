"""A validator's store as production writes it: files below a folder of the world, whose ends a crash may tear.

Nothing is synced for real: what was synced is noted, and of the rest a crash leaves a part, and zeros or noise behind
it. The process reads the files; the world watches a store in memory, which is given the same, and after each crash
what the files hold, which must be all that was durable.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from shutil import rmtree
from typing import Final

from backbone.intake.partition import HeadLike
from backbone.intake.retained_records import RUNS_MAX, RetainedRecords
from backbone.store import StoreDamaged, StoredRecord, StoreReader, StoreWriter
from backbone.store.files import DiskFile, partition_folder, segments
from ledger.header import Head
from simulation.checkers import Violation
from simulation.parts.store import SimStore

SEGMENT_BYTES: Final = 2_048
"""Small, so that worlds meet the end of a segment."""
_END: Final = 1 << 62


class SyncedTo:
    """Of each file of one store, how many of its bytes are durable."""

    def __init__(self, on_step: Callable[[str], None]) -> None:
        """`on_step`: a durable step begins or is over; the process may end there."""
        self.on_step: Final = on_step
        self.sizes: dict[Path, int] = {}

    def open_file(self, path: Path) -> "TornFile":
        """See `backbone.store.files.OpenFile`."""
        return TornFile(path, self)

    def tear(self, random: Random) -> None:
        """What was not synced is lost, in part or all."""
        for path, size in self.sizes.items():
            data = path.read_bytes() if path.exists() else b""
            if len(data) > size:
                path.write_bytes(data[:size] + _torn(data[size:], random))
        self.sizes.clear()


def _torn(data: bytes, random: Random) -> bytes:
    """What a crash leaves of bytes that were not synced: a part, and behind it nothing, zeros or noise; or, since a
    disk writes in any order, zeros within it and the end as it was to be."""
    kept = random.randrange(len(data))
    missing = len(data) - kept
    end = random.randrange(missing + 1)
    hole = bytes(missing - end) + data[len(data) - end :]
    return data[:kept] + random.choice((b"", bytes(missing), random.randbytes(missing), hole))


class TornFile(DiskFile):
    """See `AppendFile`."""

    def __init__(self, path: Path, synced: SyncedTo) -> None:
        super().__init__(path)
        self._path, self._synced = path, synced
        synced.sizes.setdefault(path, path.stat().st_size)

    def sync(self) -> None:
        """See `AppendFile`."""
        self._synced.on_step("file.before")
        self._synced.sizes[self._path] = self._path.stat().st_size
        self._synced.on_step("file.after")

    def truncate(self, size: int) -> None:
        """See `AppendFile`."""
        super().truncate(size)
        self._synced.sizes[self._path] = min(size, self._synced.sizes[self._path])


class StoreFiles:
    """The files of one validator, over all its lives."""

    def __init__(self, folder: Path, partitions: int, random: Random, on_step: Callable[[str], None]) -> None:
        self._folder, self._partitions, self._random = folder, partitions, random
        self._synced = SyncedTo(on_step)
        self._writer: StoreWriter | None = None

    def open(self) -> StoreWriter:
        """The writer of this life. Raises: StoreDamaged."""
        assert self._writer is None, "the life before is over"
        self._writer = StoreWriter(self._store, SEGMENT_BYTES, self._synced.open_file)
        return self._writer

    def reader(self) -> StoreReader:
        """One more reader."""
        return StoreReader(self._store)

    def retained(self) -> RetainedRecords:
        """The runs beside it."""
        return RetainedRecords(self._folder / "retained")

    def crash(self) -> None:
        """The process is gone."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
        self._synced.tear(self._random)

    def replace_by(self, seen: SimStore) -> None:
        """Hold what `seen` does, and nothing else."""
        rmtree(self._folder, ignore_errors=True)
        with StoreWriter(self._store, SEGMENT_BYTES) as writer:
            for partition, records in enumerate(seen.kept):
                for record in records:
                    writer.append(partition, [record])
            for final in seen.finals:
                writer.append_final(final.height, final.header_bytes, final.proof)
            for certificate in seen.certificates:
                writer.append_certificate(*certificate)
        for partition, runs in enumerate(seen.retained.runs):
            for run in runs:
                self.retained().keep(partition, run)
        seen.was_replaced = False

    def show(self, seen: SimStore) -> None:
        """Let `seen` hold what the files do, which is what it holds, and what was on its way when the process ended.

        Raises: Violation, where something is not there that was durable, or is said to be damaged.
        """
        try:
            with self.reader() as reader:
                kept = [self._held(reader, partition) for partition in range(self._partitions)]
                finals = reader.final_after(0, _END)
                certificates = [(it.height, it.certificate) for it in reader.certificates_after(0, _END)]
        except StoreDamaged as error:
            raise Violation(str(error)) from error
        there: list[Sequence[object]] = [*kept, finals, certificates]
        durable: list[Sequence[object]] = [*seen.kept, seen.finals, seen.certificates]
        for held, owed in zip(there, durable, strict=True):
            if [*held[: len(owed)]] != [*owed]:
                raise Violation(f"the store of seat {self._folder.name} lost some of {len(owed)} that were durable")
        seen.recover(kept, finals, certificates)
        self._show_retained(seen)

    def _show_retained(self, seen: SimStore) -> None:
        """Whatever was set aside, and may still be asked for, is found."""
        retained = self.retained()
        for partition, runs in enumerate(seen.retained.runs):
            for run in runs[-RUNS_MAX:]:
                first, last = run[0], run[-1]
                before = Head(partition, last.incarnation, first.offset, bytes(32))
                if retained.find(before, Head(partition, last.incarnation, last.offset + 1, last.chain_digest)) != run:
                    raise Violation(f"the store of seat {self._folder.name} does not find what it has set aside")

    def _held(self, reader: StoreReader, partition: int) -> list[StoredRecord]:
        incarnations = sorted({it.incarnation for it in segments(partition_folder(self._store, partition))})
        return [record for it in incarnations for record in reader.held(partition, 0, _END, it)]

    @property
    def _store(self) -> Path:
        return self._folder / "store"


class FiledStore:
    """See `StoreWriter`, and `SimStore`, by which the world watches: each step is done in the files first."""

    def __init__(self, writer: StoreWriter, retained: RetainedRecords, seen: SimStore) -> None:
        self._writer, self._seen = writer, seen
        self.retained = FiledRetained(retained, seen)

    def append(self, partition: int, records: Sequence[StoredRecord]) -> None:
        """See `StoreWriter`."""
        self._writer.append(partition, records)
        self._seen.append(partition, records)

    def sync(self) -> None:
        """See `StoreWriter`."""
        self._writer.sync()
        self._seen.sync()

    def replace_suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> None:
        """See `StoreWriter`. What is dropped is not missed if the process ends before the files have dropped it."""
        self._seen.replace_suffix(partition, from_offset, incarnation)
        self._writer.replace_suffix(partition, from_offset, incarnation)

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        """See `StoreWriter`."""
        self._writer.append_final(height, header_bytes, proof)
        self._seen.append_final(height, header_bytes, proof)

    def append_certificate(self, height: int, certificate: bytes) -> None:
        """See `StoreWriter`."""
        self._writer.append_certificate(height, certificate)
        self._seen.append_certificate(height, certificate)

    def __getattr__(self, name: str) -> object:
        """What is read of a writer: head, last_height, last_certificate."""
        return getattr(self._writer, name)


class FiledRetained:
    """See `RetainedRecords`, likewise."""

    def __init__(self, retained: RetainedRecords, seen: SimStore) -> None:
        self._retained, self._seen = retained, seen

    def keep(self, partition: int, records: Sequence[StoredRecord]) -> int:
        """See `RetainedRecords`."""
        dropped = self._retained.keep(partition, records)
        self._seen.retained.keep(partition, records)
        return dropped

    def settle(self, partition: int, incarnation: int, end_offset: int) -> None:
        """See `RetainedRecords`."""
        self._retained.settle(partition, incarnation, end_offset)
        self._seen.retained.settle(partition, incarnation, end_offset)

    def find(self, before: HeadLike, target: HeadLike) -> list[StoredRecord] | None:
        """See `RetainedRecords`."""
        return self._retained.find(before, target)
