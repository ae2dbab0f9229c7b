"""A machine that stops: of what was not synced any part may be on disk, and the store opens with all that was."""

import errno
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbone.store import StoredRecord, StoreFailed, StoreReader, StoreWriter
from backbone.store.files import DiskFile
from tests.store_records import chained, is_chained

OPERATIONS = 35
"""Writes, syncs and truncations of `_work`."""
PAGE = 64
"""Bytes that reach the disk together or not at all; small, so that little data has many."""


class Machine:
    """Knows of each file how much of it is durable, and may refuse one operation."""

    def __init__(self, refuse_at: int | None = None) -> None:
        self.synced: dict[Path, int] = {}
        self.operations = 0
        self._refuse_at = refuse_at

    def open_file(self, path: Path) -> "MachineFile":
        return MachineFile(path, self)

    def operate(self) -> bool:
        """Whether this operation succeeds."""
        self.operations += 1
        return self.operations - 1 != self._refuse_at

    def cut_power(self, data: st.DataObject) -> None:
        """Drop the end of what is not durable, and any pages of the rest of it."""
        for path, synced in self.synced.items():
            content = bytearray(path.read_bytes())
            size = data.draw(st.integers(synced, len(content)), "size")
            for page in range(synced, size, PAGE):
                if data.draw(st.booleans(), "lost"):
                    content[page : min(page + PAGE, size)] = bytes(min(PAGE, size - page))
            path.write_bytes(content[:size])


class MachineFile(DiskFile):
    """A file of that machine."""

    def __init__(self, path: Path, machine: Machine) -> None:
        super().__init__(path)
        self._path = path
        self._machine = machine
        machine.synced.setdefault(path, path.stat().st_size)

    def write(self, data: bytes) -> None:
        if not self._machine.operate():
            super().write(data[: len(data) // 2])
            raise OSError(errno.EIO, "refused")
        super().write(data)

    def sync(self) -> None:
        if not self._machine.operate():
            raise OSError(errno.EIO, "refused")
        super().sync()
        self._machine.synced[self._path] = self._path.stat().st_size

    def truncate(self, size: int) -> None:
        if not self._machine.operate():
            raise OSError(errno.EIO, "refused")
        super().truncate(size)


@settings(max_examples=150, deadline=None)
@given(
    batches=st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=12),
    segment_bytes=st.sampled_from([300, 1500, 1 << 20]),
    data=st.data(),
)
def test_after_a_power_cut_everything_synced_is_there_and_the_rest_is_a_prefix(
    batches: list[tuple[int, bool]], segment_bytes: int, data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        path, machine = Path(folder), Machine()
        writer = StoreWriter(path, segment_bytes, machine.open_file)
        written: list[StoredRecord] = []
        synced = 0
        for count, sync in batches:
            previous = written[-1].chain_digest if written else None
            entries = [(len(written) + i, bytes([i + 1]) * (40 * i)) for i in range(count)]
            batch = chained(entries, previous)
            writer.append(0, batch)
            written += batch
            if sync:
                writer.sync()
                synced = len(written)
        writer.close()
        machine.cut_power(data)
        with StoreWriter(path, segment_bytes) as again:
            head = again.head(0)
        held = StoreReader(path).records(0, 0, len(written))
        assert held == written[: len(held)]
        assert len(held) >= synced
        assert (head.end_offset if head else 0) == len(held)


def _work(path: Path, machine: Machine, synced: list[StoredRecord]) -> None:
    """Appends, rolls, a cut that crosses segments, appends; `synced` holds what must survive at any moment."""
    writer = StoreWriter(path, 400, machine.open_file)
    try:
        for first in range(0, 20, 2):
            batch = chained([(first + i, bytes(50)) for i in (0, 1)], synced[-1].chain_digest if synced else None)
            writer.append(0, batch)
            writer.sync()
            synced += batch
        del synced[7:]
        writer.replace_suffix(0, 7)
        batch = chained([(9, b"other"), (12, None)], synced[-1].chain_digest)
        writer.append(0, batch)
        writer.sync()
        synced += batch
    finally:
        writer.close()


@pytest.mark.parametrize("refuse_at", range(OPERATIONS))
def test_whichever_operation_the_disk_refuses_the_store_opens_with_what_was_synced(
    tmp_path: Path, refuse_at: int
) -> None:
    synced: list[StoredRecord] = []
    with pytest.raises(StoreFailed, match="refused"):
        _work(tmp_path, Machine(refuse_at), synced)
    with StoreWriter(tmp_path, 400) as writer:
        head = writer.head(0)
    held = StoreReader(tmp_path).records(0, 0, 100)
    assert held[: len(synced)] == synced
    assert is_chained(held)
    assert (head.end_offset if head else 0) == (held[-1].offset + 1 if held else 0)


def test_the_work_of_the_test_above_is_refused_at_each_of_its_operations(tmp_path: Path) -> None:
    machine = Machine()
    _work(tmp_path, machine, [])
    assert machine.operations == OPERATIONS
