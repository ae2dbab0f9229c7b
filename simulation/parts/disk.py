"""A validator's journal: what survives a crash, and crashes in the middle of durable writes."""

from random import Random


class Crashed(BaseException):
    """The validator's process is gone. Raised out of its durable writes; the world restarts it. No error, so that
    nothing of a validator handles it."""


class JournalDisk:
    """A journal file in memory. While `tears` is set the next append is torn and crashes."""

    def __init__(self, data: bytes, random: Random) -> None:
        self.data: bytes | None = data
        self.tears = False
        self._random = random

    def read(self) -> bytes | None:
        return self.data

    def append(self, data: bytes) -> None:
        assert self.data is not None
        if self.tears:
            self.tears = False
            self.data += self._torn(data)
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

    def _torn(self, data: bytes) -> bytes:
        """What a power cut leaves of a write that was not synced: a part, then perhaps zeros, or noise."""
        kept = self._random.randrange(len(data))
        missing = len(data) - kept
        return data[:kept] + self._random.choice((b"", bytes(missing), self._random.randbytes(missing)))
