"""`momus sql`: read-only SQL on the node's database: one query, or psql."""

import json
import os
import shutil
import signal
import subprocess
import sys
from decimal import Decimal
from math import isfinite
from typing import Annotated, Any

import psycopg
import typer
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_loads
from psycopg.types.string import TextLoader

from cli.database import reading, reading_only
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, note, show, show_rows
from node import wiring
from node.embedded.postgres_files import PostgresUnusable, programs
from node.home import exits
from node.home.layout import Home
from node.settings.tree import Settings
from projections.session.conninfo import VARIABLES, conninfo

ROWS_MAX = 1_000
_EXACT_MAX = 2**53 - 1
_HINT = "Schema api is the ledger, read-only: \\dv lists its views, \\d+ VIEW describes one, \\q ends."


def command(
    query: Annotated[str | None, typer.Argument(help="One statement; without one: psql.")] = None,
    home: HomeOption = DEFAULT_HOME,
    rows_max: Annotated[int, typer.Option("--rows-max", min=1, help="Show at most so many rows.")] = ROWS_MAX,
    as_json: JsonOption = False,
) -> None:
    """Query the ledger with SQL: read-only, with a time limit. The views of schema api need no prefix.

    Without a query psql is opened, or given what comes by standard input.

    --json prints {"columns": [...], "rows": [[...]], "truncated": bool}. Numbers that not every reader of JSON keeps
    exact, integers of more than 53 bits, all of numeric, and such numbers in jsonb, are text. Exit codes: 1 the
    statement is wrong.
    """
    place = Home(home.absolute())
    settings = place.settings(dict(os.environ))
    with reading(place, settings, settings.projections.statement_timeout_ms) as database:
        if query is not None:
            _run(database, query, rows_max, as_json)
            return
        if as_json:
            raise Failure(exits.USAGE, "--json needs a query.")
        code = _psql(place, settings, database)
    raise typer.Exit(exits.OK if code == 0 else exits.FAILED)


def _psql(home: Home, settings: Settings, database: psycopg.Connection) -> int:
    """The user's own session, bound as `database` is; its exit code."""
    bounds = reading_only(settings.projections.statement_timeout_ms) | {"role": _role(database)}
    place = conninfo_to_dict(conninfo(wiring.database_url(home, settings), "momus sql", bounds))
    # What the connection needs stands in its arguments; but those can be seen by everybody.
    environment = {name: value for name, value in os.environ.items() if name in VARIABLES or not name.startswith("PG")}
    if "password" in place:
        environment["PGPASSWORD"] = str(place.pop("password"))
    is_terminal = sys.stdin.isatty()
    if is_terminal:
        note(_HINT)
    stop_early = () if is_terminal else ("--set=ON_ERROR_STOP=1",)
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # it belongs to psql
    try:
        return subprocess.run([_program(), *stop_early, make_conninfo("", **place)], env=environment).returncode
    finally:
        signal.signal(signal.SIGINT, before)


def _role(database: psycopg.Connection) -> str:
    row = database.execute("select current_setting('role')").fetchone()
    assert row is not None
    return str(row[0])


def _program() -> str:
    """That of the server's version, which comes with the embedded Postgres; else whatever is installed."""
    try:
        return str(programs() / "psql")
    except PostgresUnusable as error:
        found = shutil.which("psql")
        if found is None:
            raise Failure(exits.UNAVAILABLE, f"There is no psql: give a query as an argument. {error}") from error
        return found


def _run(database: psycopg.Connection, query: str, rows_max: int, as_json: bool) -> None:
    """Raises: Failure where the statement is wrong."""
    try:
        with database.transaction(force_rollback=True), database.cursor() as cursor:
            _read_json(cursor, as_json)
            # A query fixes the mode of a transaction, and only one statement can be prepared at a time.
            cursor.execute("select 1")
            cursor.execute(query.encode(), prepare=True)
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


def _read_json(cursor: psycopg.Cursor[Any], as_json: bool) -> None:
    """Numbers in json and jsonb know no bound: a person is shown what Postgres writes, a program exact values."""
    if as_json:
        set_json_loads(_loads, cursor)
        return
    for name in ("json", "jsonb"):
        cursor.adapters.register_loader(name, TextLoader)


def _loads(text: str | bytes) -> Any:
    """Python reads no integer of more than 4,300 digits, and rounds a fraction to a double; numeric does neither."""
    return json.loads(text, parse_int=_number, parse_float=_number)


def _number(written: str) -> int | float | str:
    """A number of JSON where a double holds it exactly as it is written, else its text."""
    near = float(written)
    if not isfinite(near) or Decimal(repr(near)) != Decimal(written) or abs(near) > _EXACT_MAX:
        return written
    return near if any(mark in written for mark in ".eE") else int(written)


def _plain(value: object) -> Any:
    """A value as JSON has it; as text whatever JSON does not have, or most of its readers round (RFC 8259, §6)."""
    if isinstance(value, int):
        return value if abs(value) <= _EXACT_MAX else str(value)
    if isinstance(value, float):
        return value if isfinite(value) else str(value)
    if value is None or isinstance(value, str):
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
