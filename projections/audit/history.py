"""A live database against one that was replayed: which tables differ, and in which rows."""

from collections.abc import Iterator
from typing import Any, Final

from projections.audit.findings import Findings
from projections.audit.fingerprint import COLUMNS, ORDER, fingerprint_of, rows_above
from projections.session.connect import Connection

_ROWS_AT_ONCE: Final = 2_000
_VALUE_SHOWN_MAX: Final = 400
_Row = tuple[Any, ...]


def compare_history(live: Connection, replayed: Connection, above: int, findings: Findings) -> int:
    """Compare all that consensus determines, of history what lies above a height; how many rows were compared.

    Each connection is in a transaction with a view of its own.
    """
    rows = 0
    for table in ORDER:
        mine, theirs = fingerprint_of(live, table, above), fingerprint_of(replayed, table, above)
        rows += mine.rows
        if mine != theirs:
            _differences(live, replayed, table, above, findings)
    return rows


def _differences(live: Connection, replayed: Connection, table: str, above: int, findings: Findings) -> None:
    mine, theirs = _rows(live, table, above), _rows(replayed, table, above)
    a, b = next(mine, None), next(theirs, None)
    while a is not None or b is not None:
        if b is None or (a is not None and a[0] < b[0]):
            assert a is not None
            findings.add(table, _name(table, a[0]), f"The row was added: it says {_shown(a[1])}; replay has none.")
            a = next(mine, None)
        elif a is None or b[0] < a[0]:
            findings.add(table, _name(table, b[0]), f"The row is missing; replay says {_shown(b[1])}.")
            b = next(theirs, None)
        else:
            if a[1] != b[1]:
                what = f"The row was changed: it says {_shown(a[1])}; replay says {_shown(b[1])}."
                findings.add(table, _name(table, a[0]), what)
            a, b = next(mine, None), next(theirs, None)


def _rows(connection: Connection, table: str, above: int) -> Iterator[tuple[_Row, str]]:
    """(key, the whole row as text), by rising key."""
    order = ORDER[table]
    columns = COLUMNS.get(table, "*")
    count = len(order.split(","))
    query = f"""SELECT {order}, whole::text FROM ledger.{table}, LATERAL (SELECT {_whole(table, columns)}) AS w (whole)
{rows_above(table, above)} ORDER BY {order}"""
    with connection.cursor(name=f"history_{table}") as cursor:
        cursor.itersize = _ROWS_AT_ONCE
        for row in cursor.execute(query):
            yield tuple(bytes(it) if isinstance(it, memoryview) else it for it in row[:count]), row[count]


def _whole(table: str, columns: str) -> str:
    return f"{table}" if columns == "*" else f"ROW({columns})"


def _name(table: str, key: _Row) -> str:
    names = (name.strip() for name in ORDER[table].split(","))
    return " ".join(f"{name} {it.hex() if isinstance(it, bytes) else it}" for name, it in zip(names, key, strict=True))


def _shown(row: str) -> str:
    return row if len(row) <= _VALUE_SHOWN_MAX else row[:_VALUE_SHOWN_MAX] + "..."
