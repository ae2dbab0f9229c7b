"""Reads canonical Avro in one strict pass: for every value exactly one spelling is accepted.

fastavro reads more than is canonical (padded varints, split array blocks, negative counts, union index -1, trailing
bytes), and what it makes of the rest may change with its version; a rejection's reason is part of the protocol and may
not. So this reader decides, and the tests hold it against fastavro: it accepts just what fastavro writes.

A reader takes (data, at) and returns (value, next at). It raises :class:`Refused`, or IndexError at the data's end;
nothing else. Work and memory are bounded by the data's size: no recursion, no maps, and an array's items take at least
one byte each, so a count is checked against the bytes that are left before anything is read.
"""

from collections.abc import Callable
from typing import Any, Final

from ledger.errors import CallerError, PeerError
from ledger.rejection import Reason

Read = Callable[[bytes, int], tuple[Any, int]]

_INT_MAX: Final = 2**31 - 1


class UnfitSchema(CallerError):
    """The schema uses what the canonical subset leaves out: maps, floats, recursion, or items without width."""


class Refused(PeerError):
    """The bytes are not canonical Avro of the schema. Never leaves :class:`ledger.encoding.codec.Codec`."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def read_long(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint of at most ten bytes and 64 bits, without padding."""
    byte = data[at]
    at += 1
    if byte < 0x80:
        return (byte >> 1) ^ -(byte & 1), at
    value, shift = byte & 0x7F, 7
    while byte >= 0x80:
        if shift > 63:
            raise Refused(Reason.MALFORMED, "a number is longer than ten bytes")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
    if byte == 0:
        raise Refused(Reason.NON_CANONICAL, "a number is padded")
    if value >> 64:
        raise Refused(Reason.MALFORMED, "a number exceeds 64 bits")
    return (value >> 1) ^ -(value & 1), at


def read_int(data: bytes, at: int) -> tuple[int, int]:
    """A long that lies within 32 bits."""
    value, at = read_long(data, at)
    if not -_INT_MAX - 1 <= value <= _INT_MAX:
        raise Refused(Reason.MALFORMED, "an int exceeds 32 bits")
    return value, at


def read_boolean(data: bytes, at: int) -> tuple[bool, int]:
    byte = data[at]
    if byte > 1:
        raise Refused(Reason.NON_CANONICAL, "a boolean is neither 0 nor 1")
    return byte == 1, at + 1


def read_bytes(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = read_long(data, at)
    if not 0 <= size <= len(data) - at:
        raise Refused(Reason.MALFORMED, "a length is negative or exceeds what is left")
    return data[at : at + size], at + size


def read_string(data: bytes, at: int) -> tuple[str, int]:
    raw, at = read_bytes(data, at)
    try:
        return raw.decode(), at
    except UnicodeDecodeError as error:
        raise Refused(Reason.MALFORMED, "a string is not UTF-8") from error


def read_null(data: bytes, at: int) -> tuple[None, int]:
    return None, at


_PRIMITIVES: Final[dict[str, tuple[Read, int]]] = {
    "null": (read_null, 0),
    "boolean": (read_boolean, 1),
    "int": (read_int, 1),
    "long": (read_long, 1),
    "bytes": (read_bytes, 1),
    "string": (read_string, 1),
}


def reader(schema: Any) -> Read:
    """A reader of one value of `schema`, as `fastavro.parse_schema` returns it. Raises: UnfitSchema."""
    return _compile(schema, {})[0]


def _compile(schema: Any, named: dict[str, tuple[Read, int]]) -> tuple[Read, int]:
    """A reader and the least number of bytes it takes. `named` holds the types that are complete by now."""
    if isinstance(schema, list):
        return _union(schema, named)
    kind = schema["type"] if isinstance(schema, dict) else schema
    match kind:
        case "record":
            found = named[schema["name"]] = _record(schema, named)
            return found
        case "fixed":
            found = named[schema["name"]] = _fixed(schema["size"]), schema["size"]
            return found
        case "enum":
            found = named[schema["name"]] = _enum(tuple(schema["symbols"])), 1
            return found
        case "array":
            return _array(*_compile(schema["items"], named)), 1
        case str() if kind in _PRIMITIVES:
            return _PRIMITIVES[kind]
        case str() if kind in named:
            return named[kind]
        case _:
            raise UnfitSchema(f"not in the canonical subset: {kind!r}")


def _record(schema: dict[str, Any], named: dict[str, tuple[Read, int]]) -> tuple[Read, int]:
    parts = [(field["name"], *_compile(field["type"], named)) for field in schema["fields"]]
    fields = tuple((name, read) for name, read, _ in parts)

    def read_record(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        value = {}
        for name, read in fields:
            value[name], at = read(data, at)
        return value, at

    return read_record, sum(width for _, _, width in parts)


def _fixed(size: int) -> Read:
    def read_fixed(data: bytes, at: int) -> tuple[bytes, int]:
        end = at + size
        if end > len(data):
            raise Refused(Reason.MALFORMED, "the bytes end early")
        return data[at:end], end

    return read_fixed


def _enum(symbols: tuple[str, ...]) -> Read:
    def read_enum(data: bytes, at: int) -> tuple[str, int]:
        index, at = read_long(data, at)
        if not 0 <= index < len(symbols):
            raise Refused(Reason.UNKNOWN_BRANCH, f"no symbol {index}")
        return symbols[index], at

    return read_enum


def _array(read_item: Read, width: int) -> Read:
    if width < 1:
        raise UnfitSchema("an array's items must take at least one byte")

    def read_array(data: bytes, at: int) -> tuple[list[Any], int]:
        count, at = read_long(data, at)
        if count == 0:
            return [], at
        if count < 0:
            raise Refused(Reason.NON_CANONICAL, "an array's count is negative")
        if count * width > len(data) - at:
            raise Refused(Reason.MALFORMED, "an array announces more items than there are bytes")
        items = []
        for _ in range(count):
            item, at = read_item(data, at)
            items.append(item)
        if data[at] != 0:
            raise Refused(Reason.NON_CANONICAL, "an array is split into blocks")
        return items, at + 1

    return read_array


def _union(branches: list[Any], named: dict[str, tuple[Read, int]]) -> tuple[Read, int]:
    """In a union of several records they read as (full name, value), so that it says which one it holds."""
    parts = [_compile(branch, named) for branch in branches]
    reads = tuple(read for read, _ in parts)
    records = [isinstance(branch, dict) and branch["type"] == "record" for branch in branches]
    names = tuple(
        branch["name"] if is_record and sum(records) > 1 else None
        for branch, is_record in zip(branches, records, strict=True)
    )

    def read_union(data: bytes, at: int) -> tuple[Any, int]:
        index, at = read_long(data, at)
        if not 0 <= index < len(reads):
            raise Refused(Reason.UNKNOWN_BRANCH, f"no branch {index}")
        value, at = reads[index](data, at)
        name = names[index]
        return (value if name is None else (name, value)), at

    return read_union, 1 + min(width for _, width in parts)
