"""What a session of Momus is: what these lines say, whatever the environment, the role, the database or the server's
files would make of it.

libpq fills what a URL leaves open from variables (PGHOSTADDR, PGOPTIONS, PGCLIENTENCODING, ...), and Postgres what a
session leaves open from `ALTER ROLE`, `ALTER DATABASE` and postgresql.conf. Here nothing is left open that decides
where a connection leads, what a value becomes on its way, how durable a commit is, or when a statement is broken off.
The startup packet says it, which goes before all of those, so that no statement runs under anything else.
"""

import os
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import Conninfo

from projections.session import marked
from projections.session.errors import DatabaseUnusable

CONNECT_S_MAX: Final = 10
SESSION: Final[Mapping[str, str]] = {
    # What names and values mean.
    "search_path": "pg_catalog",
    "standard_conforming_strings": "on",
    "transform_null_equals": "off",
    "array_nulls": "on",
    "quote_all_identifiers": "off",
    "timezone": "UTC",
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    # What a transaction is, and that it is durable.
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "default_transaction_deferrable": "off",
    "synchronous_commit": "on",
    "default_table_access_method": "heap",
    "row_security": "on",
    "restrict_nonsystem_relation_kind": "",
    # When it ends: when we say so.
    "statement_timeout": "0",
    "lock_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "exit_on_error": "off",
    # What is logged, and what is loaded.
    "client_min_messages": "notice",
    "local_preload_libraries": "",
    "check_function_bodies": "on",
    "createrole_self_grant": "",
    "jit": "off",
    # A worker begins with the role's defaults, and is told of these settings only then.
    "max_parallel_workers_per_gather": "0",
    "max_parallel_maintenance_workers": "0",
}
"""Settings of every session."""
WHO_WE_ARE: Final = frozenset(("password", "passfile"))
WHO_THEY_ARE: Final = frozenset(("sslmode", "sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"))
"""What a URL may leave to libpq's variables (PGPASSWORD, PGSSLMODE, ...); the second only over a network."""
VARIABLES: Final = frozenset(f"PG{name.upper()}" for name in WHO_WE_ARE | WHO_THEY_ARE)
_EMPTY: Final = frozenset(
    (
        *("user", "dbname", "host", "hostaddr", "requirepeer", "require_auth", "gsslib"),
        *("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir", "ssl_max_protocol_version"),
    )
)
"""What libpq takes for not said where it is empty."""
_BEHIND: Final = ("PGSERVICE", "PGTZ", "PGDATESTYLE", "PGGEQO")
"""Variables that libpq reads whatever a connection string says."""


def conninfo(url: str, application: str, settings: Mapping[str, str] | None = None) -> str:
    """`url` with all said that SESSION and `settings` say: what psycopg, a pool or psql connects with.

    Options of the URL's own come first, so that it may name a role to take on, and ours decide.
    Raises: DatabaseUnusable.
    """
    try:
        given = conninfo_to_dict(url)
    except psycopg.Error:
        # libpq's own words would hold what it could not read, a password as it may be.
        raise DatabaseUnusable(
            "The database's URL (postgres.url, or what postgres.url_file holds) cannot be read: write "
            "postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for special characters."
        ) from None
    ours = " ".join(f"-c {name}={_escaped(value)}" for name, value in said_by(settings).items())
    is_remote = "hostaddr" in given or not str(given.get("host", "/")).startswith(("/", "@"))
    said = _silence(WHO_WE_ARE | WHO_THEY_ARE if is_remote else WHO_WE_ARE) | given
    said |= {
        "client_encoding": "UTF8",
        "connect_timeout": str(CONNECT_S_MAX),
        "application_name": application,
        "options": f"-c role=none {given.get('options', '')} {ours}",
    }
    return make_conninfo("", **said)


def said_by(settings: Mapping[str, str] | None) -> Mapping[str, str]:
    """All that a session with these settings of its own says; the last one is its mark."""
    said = {**SESSION, **(settings or {})}
    return said | {marked.SETTING: marked.mark_of(said)}


def url_without_secrets(url: str) -> str:
    """`url`, or any other connection string, as a URL that may be shown: how to connect, but not what lets one in."""
    secret = {option.keyword.decode() for option in Conninfo.get_defaults() if option.dispchar == b"*"}
    given = {name: str(value) for name, value in conninfo_to_dict(url).items() if name not in secret}
    user, database, host = (quote(given.pop(name, ""), safe="") for name in ("user", "dbname", "host"))
    address = quote(given.pop("port", ""), safe="")
    if re.fullmatch(r"[\w.-]+", host):
        at = f"{host}:{address}" if address else host
    else:
        at, given = (
            "",
            {name: value for name, value in (("host", unquote(host)), ("port", unquote(address))) if value} | given,
        )
    return f"postgresql://{user and user + '@'}{at}/{database}{'?' if given else ''}{urlencode(given, quote_via=quote)}"


def _silence(but: frozenset[str]) -> dict[str, Any]:
    """What to say so that libpq takes nothing from variables, `but` these. Where nothing can be said, the variable is
    dropped from this process."""
    values, unsaid = _silences()
    for name in unsaid & os.environ.keys():
        del os.environ[name]
    return {name: value for name, value in values.items() if name not in but}


@cache
def _silences() -> tuple[dict[str, str], frozenset[str]]:
    """(value by keyword, variables for which there is none)."""
    values, unsaid = {}, set(_BEHIND)
    for option in Conninfo.get_defaults():
        name = option.keyword.decode()
        if option.compiled is not None or name in _EMPTY:
            values[name] = (option.compiled or b"").decode()
        elif option.envvar and name not in WHO_WE_ARE:
            unsaid.add(option.envvar.decode())
    return values, frozenset(unsaid)


def _escaped(value: str) -> str:
    """As `options` wants it: words are divided by spaces, a backslash takes the meaning of what follows."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")
