"""Whether two databases are equal row for row, in all that consensus determines."""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from projections.maintenance.pruning import oldest_height
from projections.session.connect import Connection, connect
from projections.session.errors import translated

ORDER: Final[Mapping[str, str]] = {
    "cursor": "one",
    "assets": "id",
    "balances": "asset, address",
    "objects": "id",
    "object_types": "object",
    "object_writers": "object, writer",
    "object_contents": "object, version",
    "remembered": "bucket, digest",
    "expiry_buckets": "bucket",
    "checkpoints": "height",
    "blocks": "height",
    "transactions": "height, index",
    "rejections": "height, index",
    "transfers": "height, index",
    "object_versions": "height, transaction, command",
}
"""Every table that consensus determines, with the key that orders its rows."""

GROWING: Final = frozenset(("checkpoints", "blocks", "transactions", "rejections", "transfers", "object_versions"))
"""Tables to which each height adds: a database that began at a snapshot, or was pruned, has only what is above."""

COLUMNS: Final[Mapping[str, str]] = {
    "cursor": "genesis_digest, chain, protocol_version, height, block_digest, time_ms, heads",
}
"""Of tables that hold something else beside: which log a node reads from is its own affair."""
_VERSIONS: Final = """SELECT id AS object, content_version AS version FROM ledger.objects
UNION SELECT object, content_version FROM ledger.object_versions WHERE height > {}"""


def rows_above(table: str, above: int) -> str:
    """WHERE, of what a database has that began at a height or was pruned up to it: of what objects were given, what is
    theirs now, or was in a version above it."""
    if above == 0:
        return ""
    if table in GROWING:
        return f"WHERE height > {above:d}"
    if table in ("object_types", "object_writers"):
        return f"WHERE object IN (SELECT object FROM ({_VERSIONS.format(int(above))}) AS v)"
    if table == "object_contents":
        return f"WHERE (object, version) IN ({_VERSIONS.format(int(above))})"
    return ""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Of one table: how many rows, and SHA-256 over all of them as text, in order of the key."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class Image:
    """A database as of one height; of history only what lies above `above`."""

    height: int
    above: int
    tables: Mapping[str, Fingerprint]


def fingerprint(url: str) -> dict[str, Fingerprint]:
    """Of every table, as of one moment. Raises: DatabaseUnavailable, DatabaseUnusable."""
    return dict(image(url).tables)


def image(url: str, above: int | None = 0) -> Image:
    """Of a database that may be written to meanwhile, of history above a height; None: where its own begins, after it
    was pruned or restored. Raises: as `fingerprint`."""
    with translated(), connect(url) as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT height FROM ledger.cursor").fetchone()
        above = oldest_height(connection) if above is None else above
        tables = {table: fingerprint_of(connection, table, above) for table in ORDER}
    return Image(0 if row is None else int(row[0]), above, tables)


def compare(mine: Mapping[str, Fingerprint], theirs: Mapping[str, Fingerprint]) -> list[str]:
    """A sentence per table that differs; none: the databases are equal."""
    found = []
    for table in ORDER:
        a, b = mine[table], theirs[table]
        if a.rows != b.rows:
            found.append(f"Table {table} has {a.rows} rows here and {b.rows} there.")
        elif a.digest != b.digest:
            found.append(f"Table {table} has {a.rows} rows on both sides, but not the same.")
    return found


def fingerprint_of(connection: Connection, table: str, above: int) -> Fingerprint:
    """Of one table, in the transaction that the caller has begun."""
    digest = sha256()
    query = f"SELECT {COLUMNS.get(table, '*')} FROM ledger.{table} {rows_above(table, above)} ORDER BY {ORDER[table]}"
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY ({query}) TO STDOUT") as copy:
            for part in copy:
                digest.update(part)
        return Fingerprint(cursor.rowcount, digest.hexdigest())
