"""The journal: every statement of this validator, durable before it is sent; and the last final block.

A file of its own, made once by `create` (that is, by `momus init`) and never by opening. Big-endian:

    file    a batch of one HEADER entry, then batches
    batch   ``magic 4 | length 4 | crc 4 | entries``     one write and one fsync; crc-32 over the entries
    entry   ``kind 1 | length 4 | bytes``
    HEADER  ``format 4 | genesis digest 32 | public key 32``
    OWN     ``view 8 | the message as it is sent``
    FINAL   ``view 8 | the record of the blocks topic``   up to that view nothing is needed any more; it never falls
    CHECKPOINT  the header of the last final checkpoint block, empty for genesis
    POSITION    ``offset 8 | topic``     read up to here
    VOTED   ``view 8 | the proposal as its leader sent it``    what our notarize vote in that view is for
    CLAIMED ``height 8 | the message as it is sent``     what we signed of a checkpoint; only the last one counts
    CERTIFICATE ``view 8 | the message as it is sent``     a notarization or nullification that we acted on
    FINALIZATION    ``view 8 | the message as it is sent``     the highest that we know; only the last one counts

What we signed and acted on is kept above the *floor*, the view of the highest finalization; what we voted for up to the
view of the last final block that the store was given: until then its header may be wanted.

The first batch of any later format is one, too, and its first entry a HEADER that begins with the format.

A batch that the machine did not finish is the last one and was never sent: it is cut. Any other damage is a lost
journal: the key must not sign again.
"""

from collections.abc import Callable, Iterator, Mapping
from struct import Struct
from typing import Final, Protocol
from zlib import crc32

from consensus.runtime.errors import JournalLost, JournalOfAnotherFormat
from ledger.formats import JOURNAL

_MAGIC: Final = b"mjb1"
_BATCH: Final = Struct(">4sII")
_ENTRY: Final = Struct(">BI")
_U32: Final = Struct(">I")
_U64: Final = Struct(">Q")
_HEADER, _OWN, _FINAL, _CHECKPOINT, _POSITION, _VOTED, _CLAIMED, _CERTIFICATE, _FINALIZATION = range(9)

BURIED_MAX: Final = 256
"""Proposals at or below the floor that are kept while a block below the finalized one is missing: the newest ones."""

COMPACT_BYTES: Final = 1 << 20
"""A file above this size, and twice what it was when last written anew, is written anew."""


class JournalFile(Protocol):
    """Where the journal lies: a file, or what the simulator takes for one."""

    def read(self) -> bytes | None:
        """All of it; None if there is none."""

    def append(self, data: bytes) -> None:
        """Write at the end, durably."""

    def cut(self, size_bytes: int) -> None:
        """Drop what lies behind, durably; and make the rest durable."""

    def replace(self, data: bytes) -> None:
        """Become `data`, durably and at once."""

    def size_bytes(self) -> int: ...

    def close(self) -> None: ...


class Journal:
    """Open and repaired. One thread uses it. Nothing of ours is sent but what `commit` returns, and that is durable.

    Raises (all writing): JournalFailed.
    """

    def __init__(
        self,
        file: JournalFile,
        genesis_digest: bytes,
        public_key: bytes,
        on_durable: Callable[[str], None] = lambda name: None,
        compact_bytes: int = COMPACT_BYTES,
    ) -> None:
        """Raises: JournalLost."""
        self._file = file
        self._header = header(genesis_digest, public_key)
        self._on_durable = on_durable
        self._compact_bytes = self._grown_bytes = compact_bytes
        self._pending: list[tuple[int, bytes]] = []
        self._own: list[tuple[int, bytes]] = []
        self._voted: list[tuple[int, bytes]] = []
        self._certificates: list[tuple[int, bytes]] = []
        self._finalization: tuple[int, bytes] | None = None
        self._finals: list[tuple[int, bytes]] = []
        self._checkpoint = b""
        self._claimed: tuple[int, bytes] | None = None
        self.positions: dict[str, int] = {}
        """Topic -> offset of the next record to read, as last written."""
        self._load()

    @property
    def own(self) -> tuple[bytes, ...]:
        """Our statements above the floor, in the order in which they were signed."""
        return tuple(value for _, value in self._own)

    @property
    def voted(self) -> tuple[bytes, ...]:
        """The proposals that our notarize votes above the last final block are for."""
        return tuple(value for _, value in self._voted)

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """The notarizations and nullifications above the floor on which we acted."""
        return tuple(value for _, value in self._certificates)

    @property
    def finalization(self) -> bytes | None:
        """The highest one that we know; its block may not be known, or not be in the store."""
        return None if self._finalization is None else self._finalization[1]

    @property
    def settled(self) -> int:
        """Up to this view nothing that was said is needed any more."""
        return self._finals[-1][0] if self._finals else 0

    @property
    def floor(self) -> int:
        """Our statements at or below this view are not kept: nothing is ever signed there."""
        return max(self.settled, 0 if self._finalization is None else self._finalization[0])

    @property
    def finals(self) -> tuple[bytes, ...]:
        """The newest final blocks as records of `blocks`, by rising height; at least the last one, if there is one."""
        return tuple(value for _, value in self._finals)

    @property
    def checkpoint(self) -> bytes:
        """The header of the last checkpoint block up to the last final one; empty: genesis."""
        return self._checkpoint

    @property
    def claimed(self) -> bytes | None:
        """What we signed of the highest checkpoint; None before the first."""
        return None if self._claimed is None else self._claimed[1]

    @property
    def is_grown(self) -> bool:
        """Whether it is time to `compact`."""
        return bool(self._finals) and self._file.size_bytes() >= self._grown_bytes

    def add_own(self, view: int, value: bytes) -> None:
        """A signed statement, to be durable and then sent."""
        self._pending.append((_OWN, _U64.pack(view) + value))

    def add_voted(self, view: int, proposal: bytes) -> None:
        """The proposal that a notarize vote of ours is for: its records must be kept, and its leader may be gone."""
        self._pending.append((_VOTED, _U64.pack(view) + proposal))

    def add_certificate(self, view: int, value: bytes) -> None:
        """A notarization or nullification, to be durable before what rests on it is sent."""
        self._pending.append((_CERTIFICATE, _U64.pack(view) + value))

    def add_finalization(self, view: int, value: bytes) -> None:
        """The highest finalization: statements up to `view` may be forgotten. Its block may still be unknown."""
        self._pending.append((_FINALIZATION, _U64.pack(view) + value))

    def add_claimed(self, height: int, value: bytes) -> None:
        """A signed checkpoint above all before, to be durable and then sent."""
        self._pending.append((_CLAIMED, _U64.pack(height) + value))

    def add_final(self, floor: int, value: bytes, checkpoint: bytes) -> None:
        """A final block, to be durable before the store is given it; all up to the view `floor` may be forgotten."""
        assert floor >= self.settled
        self._pending.append((_FINAL, _U64.pack(floor) + value))
        if checkpoint != self._checkpoint:
            self._pending.append((_CHECKPOINT, checkpoint))

    def add_positions(self, positions: Mapping[str, int]) -> None:
        """How far topics have been read: offsets of the next record, by topic."""
        self._pending.extend((_POSITION, _U64.pack(offset) + topic.encode()) for topic, offset in positions.items())

    def commit(self) -> tuple[bytes, ...]:
        """Make all that was added durable with one sync; our statements of it, free to be sent now."""
        if not self._pending:
            return ()
        entries, self._pending = self._pending, []
        self._on_durable("journal.before")
        self._file.append(_batch(entries))
        self._on_durable("journal.after")
        for kind, data in entries:
            self._apply(kind, data)
        return tuple(data[_U64.size :] for kind, data in entries if kind in (_OWN, _CLAIMED))

    def compact(self, positions: Mapping[str, int]) -> None:
        """Write the file anew: the last final block, what is needed above it, how far topics were read.

        The store must hold every final block by now.
        """
        assert not self._pending
        self.positions = dict(positions)
        entries = [(_CHECKPOINT, self._checkpoint), (_FINAL, _joined(self._finals[-1]))]
        entries += [] if self._finalization is None else [(_FINALIZATION, _joined(self._finalization))]
        entries += [(_VOTED, _joined(voted)) for voted in self._voted]
        entries += [(_CERTIFICATE, _joined(certificate)) for certificate in self._certificates]
        entries += [(_OWN, _joined(own)) for own in self._own]
        entries += [] if self._claimed is None else [(_CLAIMED, _joined(self._claimed))]
        entries += [(_POSITION, _U64.pack(offset) + topic.encode()) for topic, offset in positions.items()]
        data = self._header + _batch(entries)
        self._grown_bytes = max(self._compact_bytes, 2 * len(data))
        self._on_durable("compact.before")
        self._file.replace(data)
        self._on_durable("compact.after")
        del self._finals[:-1]

    def close(self) -> None:
        """Give up the file. What was added and not committed is gone, and was never sent."""
        self._file.close()

    def _load(self) -> None:
        data = self._file.read()
        if data is None:
            raise lost("it is not there")
        if refused := refused_format(data):
            raise JournalOfAnotherFormat(f"The journal {refused}.")
        if not data.startswith(self._header):
            raise lost("it begins with another chain, another key, or damage")
        end = 0
        for entries, batch_end in _batches(data):
            end = batch_end
            for kind, body in entries:
                self._apply(kind, body)
        self._file.cut(end)

    def _apply(self, kind: int, data: bytes) -> None:
        if kind == _CHECKPOINT:
            self._checkpoint = data
            return
        numbered = _parted(data)
        if kind == _OWN:
            self._own.append(numbered)
        elif kind == _VOTED:
            self._voted.append(numbered)
        elif kind == _CERTIFICATE:
            self._certificates.append(numbered)
        elif kind == _CLAIMED:
            self._claimed = numbered
        elif kind == _POSITION:
            self.positions[numbered[1].decode()] = numbered[0]
        elif kind == _FINAL:
            self._finals.append(numbered)
            self._forget()
        elif kind == _FINALIZATION:
            self._finalization = max(numbered, self._finalization or numbered)
            self._forget()

    def _forget(self) -> None:
        """Drop what is no longer needed."""
        floor, settled = self.floor, self.settled
        self._own = [own for own in self._own if own[0] > floor]
        self._certificates = [certificate for certificate in self._certificates if certificate[0] > floor]
        buried = [voted for voted in self._voted if settled < voted[0] <= floor]
        self._voted = buried[-BURIED_MAX:] + [voted for voted in self._voted if voted[0] > floor]


def header(genesis_digest: bytes, public_key: bytes) -> bytes:
    """The bytes of the journal of a key that has never signed."""
    return _batch([(_HEADER, _U32.pack(JOURNAL.version) + genesis_digest + public_key)])


def refused_format(data: bytes) -> str:
    """What is wrong with a journal that begins so and is of another format; empty where it is not."""
    end = _batch_end(data, 0)
    header = b"" if end is None else data[_BATCH.size : end]
    if len(header) < _ENTRY.size + _U32.size or header[0] != _HEADER:
        return ""
    return JOURNAL.refusal(int(_U32.unpack_from(header, _ENTRY.size)[0]))


def lost(what: str) -> JournalLost:
    """The error that says what is wrong and what to do."""
    return JournalLost(
        f"The journal is lost: {what}. Without its complete journal this key must never sign again, or it could "
        "contradict what it said: put the file back as it was, or give this validator a fresh key."
    )


def _batch(entries: list[tuple[int, bytes]]) -> bytes:
    body = b"".join(_ENTRY.pack(kind, len(data)) + data for kind, data in entries)
    return _BATCH.pack(_MAGIC, len(body), crc32(body)) + body


def _batches(data: bytes) -> Iterator[tuple[list[tuple[int, bytes]], int]]:
    """Each whole batch and where it ends. Raises: JournalLost where a bad one is not the last."""
    at = 0
    while at < len(data):
        end = _batch_end(data, at)
        if end is None:
            if _any_batch_behind(data, at + 1):
                raise lost(f"a batch at byte {at} does not read back, though others follow it")
            return
        yield list(_entries(data[at + _BATCH.size : end])), end
        at = end


def _batch_end(data: bytes, at: int) -> int | None:
    """Where the batch at `at` ends; None if there is no whole and good one."""
    if at + _BATCH.size > len(data):
        return None
    magic, length, crc = _BATCH.unpack_from(data, at)
    start = at + _BATCH.size
    good = magic == _MAGIC and start + length <= len(data) and crc32(data[start : start + length]) == crc
    return start + length if good else None


def _any_batch_behind(data: bytes, at: int) -> bool:
    found = data.find(_MAGIC, at)
    while found >= 0:
        if _batch_end(data, found) is not None:
            return True
        found = data.find(_MAGIC, found + 1)
    return False


def _entries(body: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(body):
        kind, length = _ENTRY.unpack_from(body, at)
        at += _ENTRY.size + length
        yield kind, body[at - length : at]


def _joined(numbered: tuple[int, bytes]) -> bytes:
    return _U64.pack(numbered[0]) + numbered[1]


def _parted(data: bytes) -> tuple[int, bytes]:
    return int(_U64.unpack_from(data)[0]), data[_U64.size :]
