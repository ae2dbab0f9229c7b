"""A validator's disk: what survives a crash, and crashes at every durable write."""

from collections.abc import Callable

from backbone.store import StoredFinal


class Crashed(Exception):
    """The validator's process is gone. Raised out of its durable writes; the world restarts it."""


class JournalDisk:
    """A journal file in memory. `torn_at` set: the next append writes so many bytes and crashes."""

    def __init__(self, data: bytes) -> None:
        self.data: bytes | None = data
        self.torn_at: int | None = None

    def read(self) -> bytes | None:
        return self.data

    def append(self, data: bytes) -> None:
        assert self.data is not None
        if self.torn_at is not None:
            cut, self.torn_at = min(self.torn_at, len(data) - 1), None
            self.data += data[:cut]
            raise Crashed
        self.data += data

    def cut(self, size_bytes: int) -> None:
        assert self.data is not None
        self.data = self.data[:size_bytes]

    def replace(self, data: bytes) -> None:
        self.data = data

    def size_bytes(self) -> int:
        return 0 if self.data is None else len(self.data)

    def close(self) -> None:
        return None


class StoreDisk:
    """The store: how many records of each partition are held durably, and the final blocks."""

    def __init__(self, partitions: int, on_final: Callable[[int, bytes, bytes], None]) -> None:
        self._on_final = on_final
        self.records = [0] * partitions
        self.finals: list[StoredFinal] = []

    def append_final(self, height: int, header_bytes: bytes, proof: bytes) -> None:
        assert height == self.last_height() + 1, "the loop gives blocks in order of height"
        self._on_final(height, header_bytes, proof)
        self.finals.append(StoredFinal(height, header_bytes, proof))

    def last_height(self) -> int:
        return len(self.finals)

    def final_after(self, height: int, blocks_max: int) -> list[StoredFinal]:
        return self.finals[height : height + blocks_max]
