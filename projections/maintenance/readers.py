"""What readers may: the views of schema `api`, and of the server so much as does not stop the node.

A reader is whoever logs in as `momus_reader`, or as a role that was granted it. Postgres grants to all what no reader
of a ledger needs: temporary tables, locks of one's own naming, large objects, messages in the log of changes. That is
taken, and a role's bounds are set anew at every start of the node, since a role may change its own. What a session may
`SET` for itself, the node bounds from outside: it ends readers' transactions that have become too old.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

from psycopg import sql
from psycopg.errors import InsufficientPrivilege, InternalError_, LockNotAvailable

from projections.maintenance.lock_holders import lock_holders
from projections.session.connect import Connection

_IsDue = Callable[[Connection], bool]
_Mend = Callable[[Connection], None]

READER: Final = "momus_reader"
CONNECTIONS_MAX: Final = 20
TRANSACTION_S_MAX: Final = 300
"""Older transactions of readers are ended, whatever their sessions have been set to."""
BOUNDS: Final = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "60s",
    "default_transaction_read_only": "on",
    "temp_file_limit": "1GB",
}
"""Of a session that logs in as the role; the last is one that only a superuser may set, and lift."""
TAKEN: Final = (
    *(r"pg\_advisory\_%", r"pg\_try\_advisory\_%"),
    *(r"lo\_%", "loread", "lowrite", r"pg\_logical\_emit\_message"),
    *(r"pg\_cancel\_backend", r"pg\_terminate\_backend"),
    *(r"txid\_current", r"pg\_current\_xact\_id", r"pg\_notify"),
)
"""Functions that everybody may call in a fresh database: patterns of LIKE."""

_ROLE: Final = """SELECT r.rolconnlimit, coalesce(s.setconfig, '{}') FROM pg_roles AS r
LEFT JOIN pg_db_role_setting AS s ON s.setrole = r.oid AND s.setdatabase = 0 WHERE r.rolname = %s"""
_HERE: Final = """SELECT EXISTS (SELECT FROM pg_db_role_setting AS s JOIN pg_roles AS r ON r.oid = s.setrole
    JOIN pg_database AS d ON d.oid = s.setdatabase WHERE r.rolname = %s AND d.datname = current_database())"""
_FUNCTIONS: Final = """SELECT p.oid::regprocedure::text FROM pg_proc AS p
WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.proname LIKE ANY (%s)
    AND has_function_privilege('public', p.oid, 'EXECUTE') ORDER BY 1"""
_DATABASE: Final = "SELECT has_database_privilege('public', current_database(), 'TEMPORARY, CREATE')"
_SCHEMA: Final = "SELECT coalesce(has_schema_privilege('public', to_regnamespace('public'), 'CREATE'), false)"
_CONNECT: Final = "SELECT NOT has_database_privilege(%s, current_database(), 'CONNECT')"
_ALONE: Final = ("SET LOCAL lock_timeout = '5s'", "LOCK TABLE ledger.alembic_version IN SHARE ROW EXCLUSIVE MODE")
_SESSIONS: Final = """FROM pg_stat_activity AS a JOIN pg_roles AS r ON r.oid = a.usesysid
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND NOT r.rolsuper AND r.rolname <> current_user
    AND (r.rolname = %(reader)s OR EXISTS (SELECT FROM pg_auth_members AS m
        WHERE m.member = r.oid AND m.roleid = (SELECT oid FROM pg_roles WHERE rolname = %(reader)s)))"""
_END: Final = f"""SELECT count(*) FILTER (WHERE pg_terminate_backend(a.pid)) {_SESSIONS}
    AND a.xact_start < clock_timestamp() - %(age)s * interval '1 second'"""


def bound_readers(connection: Connection) -> tuple[str, ...]:
    """Take what readers are not to have, and set their bounds; a sentence where the node's role may not.

    Nothing where there is no such role. From any process, any number of times.
    """
    try:
        with connection.transaction():
            for statement in _ALONE:
                connection.execute(statement)
            if connection.execute(_ROLE, [READER]).fetchone() is None:
                return ()
            denied = [words for words, is_due, mend in _STEPS if not _mended(connection, is_due, mend)]
    except InternalError_:  # "tuple concurrently updated": by the start of another node, which does the same
        return ()
    except LockNotAvailable:
        held = "; ".join(lock_holders(connection)) or "somebody who has just let go"
        return (f"What readers may was not looked at: locks are held by {held}.",)
    if not denied:
        return ()
    return (f"Not for {_user(connection)} to set, but for an administrator (docs/sql.md): {'; '.join(denied)}.",)


def _mended(connection: Connection, is_due: _IsDue, mend: _Mend) -> bool:
    """Some of what a role may not do is refused by an error, some by a warning alone: so it is looked at again."""
    if not is_due(connection):
        return True
    try:
        with connection.transaction():
            mend(connection)
    except InsufficientPrivilege:
        return False
    return not is_due(connection)


def _asks(query: str, *parameters: object) -> _IsDue:
    def is_due(connection: Connection) -> bool:
        row = connection.execute(query.encode(), parameters).fetchone()
        return row is not None and bool(row[0])

    return is_due


def _says(statement: str) -> _Mend:
    """`{}`: the database."""

    def mend(connection: Connection) -> None:
        connection.execute(sql.SQL(statement).format(sql.Identifier(connection.info.dbname)))

    return mend


def _functions(connection: Connection) -> list[str]:
    return [str(row[0]) for row in connection.execute(_FUNCTIONS, [list(TAKEN)])]


def _take_functions(connection: Connection) -> None:
    functions = ", ".join(_functions(connection))
    connection.execute(f"REVOKE EXECUTE ON FUNCTION {functions} FROM PUBLIC".encode())


def _role(connection: Connection) -> tuple[int, set[str]]:
    """(most connections, defaults)."""
    row = connection.execute(_ROLE, [READER]).fetchone()
    return (CONNECTIONS_MAX, set()) if row is None else (int(row[0]), set(row[1]))


def _are_defaults_due(connection: Connection) -> bool:
    return _role(connection)[1] != {f"{name}={value}" for name, value in BOUNDS.items()}


def _set_defaults(connection: Connection) -> None:
    connection.execute(f"ALTER ROLE {READER} RESET ALL")
    for name, value in BOUNDS.items():
        with suppress(InsufficientPrivilege), connection.transaction():
            connection.execute(f"ALTER ROLE {READER} SET {name} = '{value}'")


_STEPS: Final[Sequence[tuple[str, _IsDue, _Mend]]] = (
    ("no temporary tables", _asks(_DATABASE), _says("REVOKE TEMPORARY, CREATE ON DATABASE {} FROM PUBLIC")),
    ("no tables in schema public", _asks(_SCHEMA), _says("REVOKE CREATE ON SCHEMA public FROM PUBLIC")),
    ("to connect", _asks(_CONNECT, READER), _says(f"GRANT CONNECT ON DATABASE {{}} TO {READER}")),
    ("no functions that lock or write", lambda it: bool(_functions(it)), _take_functions),
    (
        f"at most {CONNECTIONS_MAX} connections",
        lambda it: _role(it)[0] < 0,
        _says(f"ALTER ROLE {READER} CONNECTION LIMIT {CONNECTIONS_MAX}"),
    ),
    (
        "no defaults in this database",
        _asks(_HERE, READER),
        _says(f"ALTER ROLE {READER} IN DATABASE {{}} RESET ALL"),
    ),
    (f"the defaults {BOUNDS}", _are_defaults_due, _set_defaults),
)
"""(in words, whether it is due, what mends it)."""


def end_readers(connection: Connection, age_s: int = 0) -> int:
    """End the sessions of readers whose transaction is older; how many."""
    try:
        row = connection.execute(_END, {"reader": READER, "age": age_s}).fetchone()
    except InsufficientPrivilege:
        return 0
    return 0 if row is None else int(row[0])


def _user(connection: Connection) -> str:
    row = connection.execute("SELECT current_user").fetchone()
    assert row is not None
    return str(row[0])
