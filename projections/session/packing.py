"""Rows as bytes: the binary formats of COPY and of arrays, packed by NumPy where every row has the same width.

COPY: ``signature 11 | flags 4 | extension 4``, then rows ``fields 2 | (length 4 | bytes)*``, then ``-1 2``.
Array: ``dimensions 4 | has nulls 4 | element oid 4 | length 4 | lower bound 4 | (length 4 | bytes)*``.
All big-endian; https://www.postgresql.org/docs/18/sql-copy.html and array_send of the server.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from struct import Struct
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Dumper
from psycopg.pq import Format

COPY_HEADER: Final = b"PGCOPY\n\xff\r\n\0" + bytes(8)
COPY_TRAILER: Final = b"\xff\xff"
PIECE_ROWS: Final = 8_192
PIECE_BYTES: Final = 1 << 20
OID_BYTEA: Final = 17
OID_INT8: Final = 20
OID_BYTEA_ARRAY: Final = 1001
OID_INT8_ARRAY: Final = 1016
_ARRAY_HEADER: Final = Struct(">iiiii")
_WIDE: Final = {"V32": ("V32", 32), "<i8": (">i8", 8), "<i4": (">i4", 4), "<i2": (">i2", 2)}


def pack_columns(rows: NDArray[Any]) -> Iterator[memoryview]:
    """The COPY rows of a structured array of V32, i8, i4 and i2 fields, in the order of the fields, in pieces: while
    the server takes one in, the next is packed.
    """
    names = rows.dtype.names
    assert names is not None
    wide = [_WIDE[rows.dtype[name].str.replace("|", "")] for name in names]
    layout: list[tuple[str, str]] = [("fields", ">i2")]
    for name, (kind, _) in zip(names, wide, strict=True):
        layout += [(f"{name} length", ">i4"), (name, kind)]
    for start in range(0, len(rows), PIECE_ROWS):
        piece = rows[start : start + PIECE_ROWS]
        packed = np.empty(len(piece), layout)
        packed["fields"] = len(names)
        for name, (_, size) in zip(names, wide, strict=True):
            packed[f"{name} length"] = size
            packed[name] = piece[name]
        yield packed.view(np.uint8).data


def pack_rows(rows: Iterable[Sequence[bytes | None]]) -> Iterator[bytes]:
    """The COPY rows of fields that are bytes already (None: NULL), in pieces. Quick where many rows have fields of the
    same sizes: what frames them is put together once."""
    return in_pieces(_packed(rows))


def in_pieces(rows: Iterable[bytes]) -> Iterator[bytes]:
    """Packed rows joined to pieces of PIECE_BYTES, or of one row that is larger."""
    parts: list[bytes] = []
    size = 0
    for row in rows:
        parts.append(row)
        size += len(row)
        if size >= PIECE_BYTES:
            yield b"".join(parts)
            parts, size = [], 0
    if parts:
        yield b"".join(parts)


def _packed(rows: Iterable[Sequence[bytes | None]]) -> Iterator[bytes]:
    frames: dict[tuple[int, ...], bytes] = {}
    for row in rows:
        try:
            sizes = tuple(map(len, row))  # type: ignore[arg-type]
        except TypeError:
            yield _pack_row(row)
            continue
        frame = frames.get(sizes)
        if frame is None:
            frame = frames[sizes] = _frame(sizes)
        yield frame % tuple(row)


def _frame(sizes: tuple[int, ...]) -> bytes:
    """A row without its fields, for the operator %."""
    lengths = b"".join(size.to_bytes(4, "big").replace(b"%", b"%%") + b"%b" for size in sizes)
    return len(sizes).to_bytes(2, "big").replace(b"%", b"%%") + lengths


def _pack_row(row: Sequence[bytes | None]) -> bytes:
    parts = [len(row).to_bytes(2, "big")]
    for field in row:
        parts.append(b"\xff\xff\xff\xff" if field is None else len(field).to_bytes(4, "big") + field)
    return b"".join(parts)


def int8(value: int) -> bytes:
    """A bigint field."""
    return value.to_bytes(8, "big", signed=True)


def int4(value: int) -> bytes:
    """An integer field."""
    return value.to_bytes(4, "big", signed=True)


def int2(value: int) -> bytes:
    """A smallint field."""
    return value.to_bytes(2, "big", signed=True)


def boolean(value: bool) -> bytes:
    """A boolean field."""
    return b"\x01" if value else b"\x00"


def jsonb(text: str) -> bytes:
    """A jsonb field: version 1, then the text."""
    return b"\x01" + text.encode()


class PackedArray:
    """An array parameter in binary, ready as it is. `oid` is that of the array type."""

    __slots__ = ("data", "oid")

    def __init__(self, oid: int, data: bytes) -> None:
        self.oid = oid
        self.data = data


def digests_array(values: Sequence[bytes] | NDArray[Any]) -> PackedArray:
    """A bytea[] of 32-byte values: a sequence of bytes, or a V32 column."""
    column = values if isinstance(values, np.ndarray) else np.frombuffer(b"".join(values), "V32")
    packed = np.empty(len(column), [("length", ">i4"), ("value", "V32")])
    packed["length"] = 32
    packed["value"] = column
    return PackedArray(OID_BYTEA_ARRAY, _array_header(OID_BYTEA, len(column)) + packed.tobytes())


def bytes_array(values: Sequence[bytes]) -> PackedArray:
    """A bytea[] of values of any size."""
    return PackedArray(OID_BYTEA_ARRAY, _array_header(OID_BYTEA, len(values)) + _elements(values))


def int8_array(values: Sequence[int] | NDArray[Any]) -> PackedArray:
    """A bigint[]."""
    packed = np.empty(len(values), [("length", ">i4"), ("value", ">i8")])
    packed["length"] = 8
    packed["value"] = values
    return PackedArray(OID_INT8_ARRAY, _array_header(OID_INT8, len(values)) + packed.tobytes())


def _elements(values: Iterable[bytes]) -> bytes:
    return b"".join(len(value).to_bytes(4, "big") + value for value in values)


def _array_header(element: int, length: int) -> bytes:
    return _ARRAY_HEADER.pack(1, 0, element, length, 1) if length else _ARRAY_HEADER.pack(0, 0, element, 0, 0)[:12]


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: PackedArray) -> bytes:
        return obj.data


class PackedArrayDumper(_PackedDumper):
    """Sends a PackedArray as what it says it is."""

    def get_key(self, obj: PackedArray, format: Any) -> Any:
        return (self.cls, obj.oid)

    def upgrade(self, obj: PackedArray, format: Any) -> "_PackedDumper":
        dumper = _PackedDumper(self.cls)
        dumper.oid = obj.oid
        return dumper


def copy(connection: Connection[Any], table: str, pieces: Iterator[bytes] | Iterator[memoryview]) -> None:
    """COPY packed rows into a table: whole rows, in pieces; nothing is sent where there are none."""
    first = next(pieces, b"")
    if not first:
        return
    with connection.cursor() as cursor, cursor.copy(f"COPY {table} FROM STDIN (FORMAT binary)") as writing:
        for piece in chain((COPY_HEADER, first), pieces, (COPY_TRAILER,)):
            writing.write(piece)
