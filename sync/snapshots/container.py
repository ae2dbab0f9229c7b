"""Avro object container files with the deflate codec: written by fastavro, read by a reader that bounds everything.

Any Avro tool reads them. This reader accepts one schema, and no file's own: its header must be the one that is written
here, but for the sync marker, and every block is bounded before it is unpacked.
"""

import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from typing import Any, BinaryIO, Final

from fastavro import writer

from ledger.canonical import Refused, read_long, reader
from ledger.codec import load_schema

BLOCK_BYTES: Final = 64_000
BLOCK_BYTES_MAX: Final = 40 << 20
"""Of one block, unpacked: BLOCK_BYTES and the largest record."""
FILE_BYTES_MAX: Final = 1 << 30
_SYNC_SIZE: Final = 16
_LEVEL: Final = 1
_RAW_DEFLATE: Final = -15
_CHECKSUM_SIZE: Final = 4
"""fastavro leaves some of the checksum that zlib puts behind what it packs."""


class BadContainer(Exception):
    """The bytes are not those of such a file. The message says where they end to be."""


class Container:
    """Files of records of one schema ``momus.v1.<name>``, given and taken as dicts."""

    def __init__(self, schema_name: str) -> None:
        self._schema = load_schema(schema_name, "sync")
        self._read = reader(self._schema)
        empty = BytesIO()
        self.write(empty, ())
        self._header: Final = empty.getvalue()[:-_SYNC_SIZE]

    def write(self, file: BinaryIO, records: Iterable[dict[str, Any]]) -> None:
        """Raises: OSError."""
        writer(
            file,
            self._schema,
            records,
            codec="deflate",
            sync_interval=BLOCK_BYTES,
            codec_compression_level=_LEVEL,
            strict=True,
        )

    def read(self, data: bytes, count_max: int) -> Iterator[dict[str, Any]]:
        """The records, at most `count_max`; one block is unpacked at a time. Raises: BadContainer."""
        at = len(self._header)
        if len(data) > FILE_BYTES_MAX or not data.startswith(self._header) or len(data) < at + _SYNC_SIZE:
            raise BadContainer("It does not begin as a file of this kind.")
        sync = data[at : at + _SYNC_SIZE]
        at += _SYNC_SIZE
        total = 0
        while at < len(data):
            count, block, at = self._block(data, at, sync)
            total += count
            if total > count_max:
                raise BadContainer(f"It holds more than {count_max} records.")
            yield from self._records(count, block)

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


LEAVES: Final = Container("SnapshotLeaf")
DIGESTS: Final = Container("SnapshotDigest")
