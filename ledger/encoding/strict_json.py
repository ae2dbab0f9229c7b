"""Reads JSON documents strictly: no duplicate, unknown or missing keys, no floats, every value within bounds."""

import json
import re
from typing import Any, NoReturn

from ledger.errors import PeerError


class StrictJsonError(PeerError):
    """The document is not what it must be: the message names the path and what must stand there."""


def load(data: bytes, size_max: int) -> "Fields":
    """The fields of a JSON object in UTF-8. Raises: StrictJsonError."""
    if len(data) > size_max:
        raise StrictJsonError(f"the document has {len(data)} bytes, more than {size_max}")
    try:
        document = json.loads(
            data.decode(), object_pairs_hook=_without_duplicates, parse_float=_no_float, parse_constant=_no_float
        )
    except (ValueError, RecursionError) as error:
        raise StrictJsonError(f"not a JSON document: {error}") from error
    return Fields(document, "")


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return fields


def _no_float(text: str) -> NoReturn:
    raise ValueError(f"numbers must be integers: {text}")


class Fields:
    """One object of a document. Each read takes its key out, `finish` refuses the rest; all raise StrictJsonError."""

    def __init__(self, value: Any, path: str) -> None:
        if not isinstance(value, dict):
            raise StrictJsonError(f"{path or 'the document'} must be an object")
        self._left = dict(value)
        self._path = path

    def take(self, key: str) -> Any:
        """The value as it stands."""
        if key not in self._left:
            raise StrictJsonError(f"{self.path(key)} is missing")
        return self._left.pop(key)

    def path(self, key: str) -> str:
        return f"{self._path}.{key}" if self._path else key

    def integer(self, key: str, least: int, most: int) -> int:
        """An integer of `least` to `most`; true and false are none."""
        value = self.take(key)
        if type(value) is not int or not least <= value <= most:
            raise StrictJsonError(f"{self.path(key)} must be an integer from {least} to {most}")
        return value

    def text(self, key: str, pattern: str) -> str:
        value = self.take(key)
        if not isinstance(value, str) or re.fullmatch(pattern, value, re.ASCII) is None:
            raise StrictJsonError(f"{self.path(key)} must match {pattern}")
        return value

    def hex(self, key: str, size: int) -> bytes:
        """`size` bytes in lowercase hex."""
        return hex_bytes(self.take(key), size, self.path(key))

    def fields(self, key: str) -> "Fields":
        return Fields(self.take(key), self.path(key))

    def list(self, key: str, least: int, most: int) -> list[Any]:
        """A list of `least` to `most` items, as they stand."""
        value = self.take(key)
        if not isinstance(value, list) or not least <= len(value) <= most:
            raise StrictJsonError(f"{self.path(key)} must be a list of {least} to {most} items")
        return value

    def finish(self) -> None:
        if self._left:
            raise StrictJsonError(f"unknown: {', '.join(sorted(map(self.path, self._left)))}")


def hex_bytes(value: Any, size: int, path: str) -> bytes:
    """`size` bytes in lowercase hex. Raises: StrictJsonError."""
    if not isinstance(value, str) or re.fullmatch(f"[0-9a-f]{{{2 * size}}}", value) is None:
        raise StrictJsonError(f"{path} must be {size} bytes in lowercase hex")
    return bytes.fromhex(value)
