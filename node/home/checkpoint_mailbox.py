"""The executor's newest checkpoints, in a file by which the order process, which signs them, learns of them.

    ``(length 4, big-endian | checkpoint)*``       by rising height

Replaced as a whole, so a reader sees all of one version. Not durable: the execute process writes it whenever it starts.
"""

import os
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from struct import Struct
from typing import Final

from ledger.checkpoint import Checkpoint, decode_checkpoint, encode_checkpoint
from ledger.genesis import Genesis
from ledger.rejection import Rejection
from node.home.files import replace_file

CLAIMS_MAX: Final = 64
_LENGTH: Final = Struct(">I")


class MailboxWriter:
    """The writing side, of one session of the execute process."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._newest: deque[Checkpoint] = deque(maxlen=CLAIMS_MAX)

    def add(self, checkpoints: Iterable[Checkpoint]) -> None:
        """Committed checkpoints above those before. Raises: OSError."""
        self._newest.extend(checkpoints)
        encoded = [encode_checkpoint(checkpoint) for checkpoint in self._newest]
        replace_file(self._path, b"".join(_LENGTH.pack(len(data)) + data for data in encoded), durable=False)


class MailboxReader:
    """The reading side."""

    def __init__(self, path: Path, genesis: Genesis) -> None:
        self._path = path
        self._genesis = genesis
        self._seen: tuple[int, int] | None = None

    def read(self) -> Sequence[Checkpoint]:
        """All of them if the file is another than at the last call, else none; up to the first that does not read."""
        try:
            with self._path.open("rb") as file:
                now = os.fstat(file.fileno())
                if (now.st_ino, now.st_mtime_ns) == self._seen:
                    return ()
                data = file.read()
        except FileNotFoundError:
            return ()
        self._seen = (now.st_ino, now.st_mtime_ns)
        return self._parse(data)

    def _parse(self, data: bytes) -> list[Checkpoint]:
        found: list[Checkpoint] = []
        at = 0
        while at + _LENGTH.size <= len(data) and len(found) < CLAIMS_MAX:
            start = at + _LENGTH.size
            at = start + int(_LENGTH.unpack_from(data, at)[0])
            checkpoint = decode_checkpoint(data[start:at], self._genesis.partitions)
            if isinstance(checkpoint, Rejection):
                break
            found.append(checkpoint)
        return found
