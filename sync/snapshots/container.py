"""Avro object container files with the deflate codec: written by fastavro, read by a reader that bounds everything.

Any Avro tool reads them. This reader accepts one schema, and no file's own: what its header says must be that schema,
and every block is bounded before it is unpacked. The same rows make the same bytes.
"""

import json
import zlib
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any, BinaryIO, Final

from fastavro import writer

from ledger.encoding.canonical import Refused, read_long, reader
from ledger.encoding.codec import load_schema
from ledger.errors import PeerError

BLOCK_BYTES: Final = 64_000
BLOCK_BYTES_MAX: Final = 40 << 20
"""Of one block, unpacked: BLOCK_BYTES and the largest record."""
FILE_BYTES_MAX: Final = 1 << 30
UNPACKED_BYTES_MAX: Final = 1 << 30
"""Of a whole file: a chunk is held in memory until it is verified."""
_MAGIC: Final = b"Obj\x01"
_METADATA_MAX: Final = 16
_SYNC_SIZE: Final = 16
_ODD: Final = (Refused, IndexError, KeyError, TypeError, ValueError, RecursionError)
_LEVEL: Final = 1
_RAW_DEFLATE: Final = -15
_CHECKSUM_SIZE: Final = 4
"""fastavro leaves some of the checksum that zlib puts behind what it packs."""


class BadContainer(PeerError):
    """The bytes are not those of such a file. The message says where they end to be."""


class Container:
    """Files of records of one schema ``momus.v1.<name>``, given and taken as dicts."""

    def __init__(self, schema_name: str) -> None:
        self._schema = load_schema(schema_name, "sync")
        self._read = reader(self._schema)
        self._shape = _shape(self._schema)
        self._sync = sha256(repr(self._shape).encode()).digest()[:_SYNC_SIZE]

    def write(self, file: BinaryIO, records: Iterable[dict[str, Any]]) -> None:
        """Raises: OSError."""
        writer(
            file,
            self._schema,
            records,
            codec="deflate",
            sync_interval=BLOCK_BYTES,
            codec_compression_level=_LEVEL,
            sync_marker=self._sync,
            strict=True,
        )

    def read(self, data: bytes, count_max: int) -> Iterator[dict[str, Any]]:
        """The records, at most `count_max`; one block is unpacked at a time. Raises: BadContainer."""
        if len(data) > FILE_BYTES_MAX:
            raise BadContainer(f"It has more than {FILE_BYTES_MAX} bytes.")
        try:
            at = self._after_header(data)
        except _ODD as error:
            raise BadContainer("It does not begin as a file of this kind.") from error
        sync = data[at - _SYNC_SIZE : at]
        total = size = 0
        while at < len(data):
            count, block, at = self._block(data, at, sync)
            total, size = total + count, size + len(block)
            if total > count_max:
                raise BadContainer(f"It holds more than {count_max} records.")
            if size > UNPACKED_BYTES_MAX:
                raise BadContainer(f"It unpacks to more than {UNPACKED_BYTES_MAX} bytes.")
            yield from self._records(count, block)

    def _after_header(self, data: bytes) -> int:
        """Raises: _ODD."""
        found: dict[bytes, bytes] = {}
        count, at = read_long(data, len(_MAGIC))
        for _ in range(min(count, _METADATA_MAX)):
            name, at = _read_bytes(data, at)
            found[name], at = _read_bytes(data, at)
        is_ours = found.get(b"avro.codec") == b"deflate" and _shape(json.loads(found[b"avro.schema"])) == self._shape
        if not data.startswith(_MAGIC) or data[at] != 0 or not is_ours or len(data) < at + 1 + _SYNC_SIZE:
            raise ValueError("not ours")
        return at + 1 + _SYNC_SIZE

    def _block(self, data: bytes, at: int, sync: bytes) -> tuple[int, bytes, int]:
        try:
            count, at = read_long(data, at)
            size, at = read_long(data, at)
        except (Refused, IndexError) as error:
            raise BadContainer(f"A block begins badly at byte {at}.") from error
        end = at + size
        if count < 1 or size < 0 or data[end : end + _SYNC_SIZE] != sync:
            raise BadContainer(f"The block at byte {at} does not end where it says.")
        unpacking = zlib.decompressobj(_RAW_DEFLATE)
        try:
            block = unpacking.decompress(data[at:end], BLOCK_BYTES_MAX)
        except zlib.error as error:
            raise BadContainer(f"The block at byte {at} does not unpack: {error}.") from error
        if not unpacking.eof or len(unpacking.unused_data) > _CHECKSUM_SIZE:
            raise BadContainer(f"The block at byte {at} is too large, or other bytes follow what was packed.")
        return count, block, end + _SYNC_SIZE

    def _records(self, count: int, block: bytes) -> Iterator[dict[str, Any]]:
        at = 0
        for _ in range(count):
            try:
                record, at = self._read(block, at)
            except (Refused, IndexError) as error:
                raise BadContainer(f"A record does not decode: {error}.") from error
            yield record
        if at != len(block):
            raise BadContainer("Bytes follow the records of a block.")


def _read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    if not 0 <= size <= len(data) - at:
        raise ValueError("longer than the file")
    return data[at : at + size], at + size


def _shape(schema: Any) -> list[tuple[str, str]]:
    """Names and types of a record's fields: what its bytes depend on. Raises: _ODD."""
    return [(str(field["name"]), _type(field["type"])) for field in schema["fields"]]


def _type(kind: Any) -> str:
    return f"{kind['type']} {kind['size']}" if isinstance(kind, dict) else json.dumps(kind)


LEAVES: Final = Container("SnapshotLeaf")
DIGESTS: Final = Container("SnapshotDigest")
