"""The tables of objects: the row of one, and what may be large of it, read by who needs it."""

from collections.abc import Sequence
from typing import Any, Final

from ledger.object_parts import ObjectDetails, ObjectParts
from ledger.state import Object
from projections.rows.prefetch import OBJECT_COLUMNS, object_of
from projections.session.connect import Connection
from projections.session.packing import digests_array, int2, int4, int8, int8_array

PACKED_WRITERS: Final = """(SELECT coalesce(string_agg(m.writer, ''::bytea ORDER BY m.writer), ''::bytea)
    FROM ledger.object_writers AS m WHERE m.object = {})"""
_PARTS: Final = f"""SELECT w.id, t.type, {PACKED_WRITERS.format("w.id")}, c.media_type, {{}}
FROM unnest(%s, %s) AS w (id, version) JOIN ledger.object_types AS t ON t.object = w.id
JOIN ledger.object_contents AS c ON c.object = w.id AND c.version = w.version"""
WHOLE_OBJECTS: Final = f"""{", ".join(f"o.{name}" for name in OBJECT_COLUMNS.split(", "))},
    t.type, {PACKED_WRITERS.format("o.id")}, c.media_type, sha256(c.content), octet_length(c.content)
FROM ledger.objects AS o LEFT JOIN ledger.object_types AS t ON t.object = o.id
LEFT JOIN ledger.object_contents AS c ON c.object = o.id AND c.version = o.content_version"""
"""What follows SELECT: rows as `whole_object` takes them."""


def whole_object(row: Sequence[Any]) -> Object:
    """The object of a row of WHOLE_OBJECTS. Raises: ValueError where its hashes are not those of what is stored."""
    item, (kind, writers, media_type, content_hash, size) = object_of(row[:-5]), row[-5:]
    if kind is None or media_type is None or size != item.content_size_bytes:
        raise ValueError("the object lacks its type or its content")
    if not item.is_of(ObjectDetails(kind, writers, media_type, content_hash)):
        raise ValueError("the object's hashes are not those of its type, writers and content")
    return item


def object_fields(item: Object) -> Sequence[bytes | None]:
    """A row of `objects` for COPY."""
    return (
        item.id,
        int8(item.version),
        int2(item.ownership),
        item.owner,
        int2(item.writers),
        item.details_digest,
        int8(item.content_version),
        int4(item.content_size_bytes),
        item.content_digest,
    )


def parts_of(connection: Connection, objects: Sequence[Object]) -> dict[bytes, ObjectParts]:
    """By id, of those that have all of them. The caller bounds how large that is."""
    return {row[0]: ObjectParts(*row[1:]) for row in _asked(connection, "c.content", objects)}


def details_of(connection: Connection, item: Object) -> ObjectDetails | None:
    """What an object's hashes are of; None: something of it is missing."""
    rows = _asked(connection, "sha256(c.content)", [item])
    return ObjectDetails(*rows[0][1:]) if rows else None


def _asked(connection: Connection, content: str, objects: Sequence[Object]) -> list[tuple[Any, ...]]:
    ids, versions = [item.id for item in objects], [item.content_version for item in objects]
    parameters = digests_array(ids), int8_array(versions)
    return connection.execute(_PARTS.format(content), parameters, binary=True).fetchall()
