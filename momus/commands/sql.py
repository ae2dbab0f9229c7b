"""`momus sql`: read-only SQL on the node's database, without an installed psql."""

import os
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import psycopg
import typer

from momus.commands.database import reading
from momus.commands.options import DEFAULT_HOME, HomeOption, JsonOption
from momus.commands.output import Failure, note, show, show_rows
from node import exits
from node.home import Home

ROWS_MAX = 1_000
_HELP = """Views: blocks, transactions, rejections, transfers, balances, assets, objects, object_history, status.
\\d VIEW describes one, \\q ends."""
_DESCRIBE = """
select a.attname as column, format_type(a.atttypid, a.atttypmod) as type,
    col_description(a.attrelid, a.attnum) as comment
from pg_attribute a where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum"""


def command(
    query: Annotated[str | None, typer.Argument(help="One statement; without one: a prompt.")] = None,
    home: HomeOption = DEFAULT_HOME,
    rows_max: Annotated[int, typer.Option("--rows-max", min=1, help="Show at most so many rows.")] = ROWS_MAX,
    as_json: JsonOption = False,
) -> None:
    """Query the ledger with SQL: read-only, with a time limit. The views of schema api need no prefix.

    --json prints {"columns": [...], "rows": [[...]], "truncated": bool}. Exit codes: 1 the statement is wrong.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    with reading(place, settings, settings.projections.statement_timeout_ms) as database:
        if query is not None:
            _run(database, query, rows_max, as_json)
            return
        if as_json:
            raise Failure(exits.USAGE, "--json needs a query.")
        for line in _prompt():
            _answer(database, line, rows_max)


def _run(database: psycopg.Connection, query: str, rows_max: int, as_json: bool, *parameters: object) -> None:
    """Raises: Failure where the statement is wrong."""
    try:
        with database.transaction(force_rollback=True), database.cursor() as cursor:
            # A query fixes the mode of a transaction, and only one statement can be prepared at a time.
            cursor.execute("select 1")
            cursor.execute(query.encode(), parameters or None, prepare=True)
            columns = [column.name for column in cursor.description or ()]
            rows = cursor.fetchmany(rows_max + 1) if columns else []
    except psycopg.OperationalError as error:
        if database.broken:
            raise
        raise Failure(exits.FAILED, _first_line(error)) from error
    except psycopg.Error as error:
        raise Failure(exits.FAILED, _first_line(error)) from error
    is_truncated = len(rows) > rows_max
    if as_json:
        values = [[_plain(value) for value in row] for row in rows[:rows_max]]
        show(True, {"columns": columns, "rows": values, "truncated": is_truncated}, "")
        return
    show_rows(columns, [[_text(value) for value in row] for row in rows[:rows_max]])
    note(f"{len(rows[:rows_max])} rows{' (there are more; --rows-max shows them)' if is_truncated else ''}")


def _answer(database: psycopg.Connection, line: str, rows_max: int) -> None:
    try:
        if line.startswith("\\d "):
            _run(database, _DESCRIBE, rows_max, False, line[3:].strip(" ;"))
        elif line.startswith("\\"):
            note(_HELP)
        else:
            _run(database, line, rows_max, False)
    except Failure as failure:
        note(str(failure))


def _prompt() -> Iterator[str]:
    """Statements, each ended by a semicolon, a blank line or the end of input."""
    if sys.stdin.isatty():
        note(_HELP)
    lines: list[str] = []
    while True:
        try:
            line = input("momus=> " if not lines else "momus-> ") if sys.stdin.isatty() else input()
        except EOFError:
            if lines:
                yield "\n".join(lines)
            return
        if not lines and line.strip() in ("\\q", "quit", "exit"):
            return
        lines += [line] if line.strip() else []
        if lines and (not line.strip() or line.rstrip().endswith(";") or lines[0].startswith("\\")):
            yield "\n".join(lines)
            lines = []


def _plain(value: object) -> Any:
    """A value as JSON has it; whatever JSON does not have as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, dict):
        return {str(key): _plain(below) for key, below in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(below) for below in value]
    return _text(value)


def _text(value: object) -> str:
    if value is None:
        return ""
    return bytes(value).hex() if isinstance(value, bytes | memoryview) else str(value)


def _first_line(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0]
