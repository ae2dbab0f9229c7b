"""Strict canonical Avro: one schema, and one spelling for each of its values (docs/formats.md).

In: plain dicts, and bytes from anybody. Out: bytes, and dicts or Rejections. Hostile bytes never raise.
"""

import json
from io import BytesIO
from pathlib import Path
from typing import Any, Final

from fastavro import schemaless_writer
from fastavro.schema import fingerprint, parse_schema, to_parsing_canonical_form

from ledger.encoding.canonical import Refused, reader
from ledger.rejection import Reason, Rejection

MARKER: Final = b"\xc3\x01"
PREFIX_SIZE: Final = 10
_PARTS: Final = Path(__file__).resolve().parents[2]


def load_schema(name: str, package: str = "ledger") -> Any:
    """The schema ``momus.v1.<name>``, parsed as fastavro wants it, of the part `package` ("api" has "Effect").

    Raises: FileNotFoundError.
    """
    return parse_schema(json.loads((_PARTS / package / "schemas" / f"{name}.avsc").read_bytes()))


class Codec:
    """Encodes and decodes values of one schema, as dicts. In a union of several records, a record is a tuple
    (full name, dict)."""

    def __init__(self, schema_name: str, package: str = "ledger") -> None:
        """Raises: FileNotFoundError, canonical.UnfitSchema."""
        self._schema = load_schema(schema_name, package)
        self._read = reader(self._schema)
        self.prefix: Final = MARKER + bytes.fromhex(fingerprint(to_parsing_canonical_form(self._schema), "CRC-64-AVRO"))
        """The first ten bytes of a single object: ``C3 01 | CRC-64-AVRO 8``, little-endian."""

    def encode(self, value: dict[str, Any]) -> bytes:
        """The canonical bytes, without a prefix. The caller has checked the ranges that Avro does not express.

        Raises: ValueError, TypeError or OverflowError on a value that is not one of the schema's.
        """
        out = BytesIO()
        schemaless_writer(out, self._schema, value, strict=True)
        return out.getvalue()

    def encode_single(self, value: dict[str, Any]) -> bytes:
        """A single object: prefix and canonical bytes. Raises: as `encode`."""
        return self.prefix + self.encode(value)

    def decode(self, data: bytes, size_max: int) -> dict[str, Any] | Rejection:
        """The value of canonical bytes without a prefix; work and memory are bounded by their size."""
        return self._decode(data, 0, size_max)

    def decode_single(self, data: bytes, size_max: int) -> dict[str, Any] | Rejection:
        """The value of a single object; `size_max` counts the prefix too."""
        if data and len(data) <= size_max and not data.startswith(self.prefix):
            return Rejection(Reason.UNKNOWN_SCHEMA)
        return self._decode(data, PREFIX_SIZE, size_max)

    def _decode(self, data: bytes, at: int, size_max: int) -> dict[str, Any] | Rejection:
        if not data:
            return Rejection(Reason.EMPTY)
        if len(data) > size_max:
            return Rejection(Reason.OVERSIZE, f"{len(data)} bytes, at most {size_max}")
        try:
            value, end = self._read(data, at)
        except Refused as refused:
            return Rejection(refused.reason, str(refused))
        except IndexError:
            return Rejection(Reason.MALFORMED, "the bytes end early")
        if end != len(data):
            return Rejection(Reason.NON_CANONICAL, "bytes follow the value")
        assert isinstance(value, dict)
        return value
