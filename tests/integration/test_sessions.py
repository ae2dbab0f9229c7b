"""What a session of Momus is does not hang on the environment, nor on defaults of a role or a database."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

from ledger.genesis import Genesis, parse_genesis
from ledger.state import Effects, Wanted
from projections.audit.fingerprint import Fingerprint, fingerprint
from projections.database import Database
from projections.maintenance.migrate import migrate
from tests import flush_effects as effects
from tests.builders import genesis_bytes
from tests.flush_effects import COIN, cursor_at

pytestmark = pytest.mark.postgres

TITLE = "Kč € – 名 'quoted' \\ back"
VARIABLES = {
    "PGCLIENTENCODING": "LATIN1",
    "PGOPTIONS": "-c search_path=nowhere -c statement_timeout=1 -c standard_conforming_strings=off",
    "PGSERVICE": "nowhere",
    "PGSERVICEFILE": "/nowhere/pg_service.conf",
    "PGHOST": "nowhere.invalid",
    "PGHOSTADDR": "192.0.2.1",
    "PGPORT": "1",
    "PGDATABASE": "nowhere",
    "PGUSER": "nobody",
    "PGTZ": "nowhere",
    "PGDATESTYLE": "german",
    "PGGEQO": "nonsense",
    "PGTARGETSESSIONATTRS": "standby",
    "PGLOADBALANCEHOSTS": "nonsense",
    "PGREQUIREAUTH": "scram-sha-256",
    "PGREQUIREPEER": "nobody",
    "PGCHANNELBINDING": "require",
    "PGSSLMODE": "nonsense",
    "PGSSLNEGOTIATION": "direct",
    "PGSSLCERTMODE": "require",
    "PGSSLMINPROTOCOLVERSION": "nonsense",
    "PGSSLROOTCERT": "system",
    "PGMINPROTOCOLVERSION": "latest",
    "PGMAXPROTOCOLVERSION": "nonsense",
    "PGGSSENCMODE": "require",
    "PGCONNECT_TIMEOUT": "nonsense",
    "PGDATA": "/nowhere",
    "PGAPPNAME": "somebody else",
}
DEFAULTS = {
    "client_encoding": "LATIN1",
    "search_path": "nowhere",
    "role": "momus_reader",
    "timezone": "Asia/Kathmandu",
    "datestyle": "SQL, DMY",
    "statement_timeout": "1",
    "lock_timeout": "1",
    "transaction_timeout": "1",
    "idle_in_transaction_session_timeout": "1",
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "serializable",
    "default_transaction_deferrable": "on",
    "synchronous_commit": "off",
    "standard_conforming_strings": "off",
    "bytea_output": "escape",
    "local_preload_libraries": "nowhere",
    "restrict_nonsystem_relation_kind": "view",
    "exit_on_error": "on",
    "client_min_messages": "error",
}
NOT_OURS = frozenset(("debug_discard_caches", "post_auth_delay", "pre_auth_delay", "temp_file_limit"))
"""They make a session slow, or bound its temporary files, as an administrator means it, and change nothing else."""
ALONE = ("PGCLIENTENCODING", "PGOPTIONS", "PGSERVICE", "PGHOSTADDR", "PGTZ")
DEFAULTS_ALONE = ("client_encoding", "transaction_timeout", "standard_conforming_strings", "role")


@dataclass(frozen=True, slots=True)
class Left:
    """What two flushes have left in a database."""

    root: bytes
    rows: Mapping[str, Fingerprint]
    title: str


@pytest.fixture(scope="module")
def genesis() -> Genesis:
    return parse_genesis(genesis_bytes(partitions=1, checkpoint_heights=1))


@pytest.fixture(scope="module")
def clean(genesis: Genesis, new_databases: Callable[[], str]) -> Left:
    """What a session without anybody's defaults leaves."""
    return left_by(new_databases(), genesis)


@pytest.fixture
def hostile_role(postgres: str) -> Iterator[str]:
    """A role of this test's own that may do everything."""
    name = f"hostile_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create role {name} login superuser password 'hostile'")
    yield name
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"drop role {name}")


@pytest.fixture
def hostile_url(hostile_role: str, postgres: str, postgres_url: str) -> Iterator[str]:
    """An empty database, as that role connects to it."""
    yield _as(hostile_role, postgres_url)
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"alter database {_name(postgres_url)} reset all")
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"reassign owned by {hostile_role} to current_user")


@pytest.fixture(scope="module")
def migrated(new_databases: Callable[[], str]) -> str:
    """A database with the newest tables, to be copied: making them takes most of the time."""
    url = new_databases()
    migrate(url)
    return url


@pytest.fixture
def copied_url(postgres: str, postgres_url: str, migrated: str) -> str:
    """A copy of it."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"drop database {_name(postgres_url)}")
        admin.execute(f"create database {_name(postgres_url)} template {_name(migrated)}")
    return postgres_url


def _name(url: str) -> str:
    return f'"{urlsplit(url).path[1:]}"'


def _as(role: str, url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{role}:hostile@{parts.netloc.rpartition('@')[2]}").geturl()


def first() -> Effects:
    return replace(effects.first(), assets_inserted=(effects.coin(title=TITLE),))


def left_by(url: str, genesis: Genesis) -> Left:
    """Of the newest tables, two flushes with a checkpoint each, and what is read between them."""
    migrate(url)
    with Database(url) as database:
        database.initialise(cursor_at(0))
        database.flush(first(), 0, cursor_at(1), genesis)
        coin = database.prefetch(Wanted({}, (COIN,), (), (), (), ())).assets[COIN]
        second = replace(effects.second(), assets_updated=(replace(coin, supply=900),))
        stored = database.flush(second, 1, cursor_at(2), genesis)
        database.maintain()
    assert stored is not None
    return Left(stored.checkpoint.state_root, fingerprint(url), coin.name)


@pytest.mark.parametrize("name", ALONE)
def test_no_variable_decides_what_is_stored_and_where(
    name: str, monkeypatch: pytest.MonkeyPatch, copied_url: str, genesis: Genesis, clean: Left
) -> None:
    with monkeypatch.context() as environment:
        environment.setenv(name, VARIABLES[name])
        left = left_by(copied_url, genesis)
    assert left == clean


@pytest.mark.parametrize("encoding", ["WIN1252", "SQL_ASCII"])
def test_all_variables_at_once_do_not_either(
    encoding: str, monkeypatch: pytest.MonkeyPatch, postgres_url: str, genesis: Genesis, clean: Left
) -> None:
    with monkeypatch.context() as environment:
        for name, value in (VARIABLES | {"PGCLIENTENCODING": encoding}).items():
            environment.setenv(name, value)
        left = left_by(postgres_url, genesis)
    assert left == clean


@pytest.mark.parametrize("name", DEFAULTS_ALONE)
def test_no_default_of_a_role_decides_what_is_stored(
    name: str, postgres: str, hostile_role: str, copied_url: str, genesis: Genesis, clean: Left
) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        _set(admin, f"role {hostile_role}", name, DEFAULTS[name])
    assert left_by(_as(hostile_role, copied_url), genesis) == clean


@pytest.mark.parametrize("scope", ["database {database}", "role {role}", "role {role} in database {database}"])
def test_no_defaults_of_role_and_database_decide_what_is_stored(
    scope: str, postgres: str, hostile_role: str, hostile_url: str, genesis: Genesis, clean: Left
) -> None:
    whose = scope.format(role=hostile_role, database=urlsplit(hostile_url).path[1:])
    with psycopg.connect(postgres, autocommit=True) as admin:
        for name, value in DEFAULTS.items():
            if name != "role" or scope.startswith("role"):
                _set(admin, whose, name, value)
    assert left_by(hostile_url, genesis) == clean


@pytest.mark.parametrize("turn", range(4))
def test_whatever_else_a_role_may_have_as_its_default_decides_nothing(
    turn: int, postgres: str, hostile_role: str, hostile_url: str, genesis: Genesis, clean: Left
) -> None:
    with psycopg.connect(postgres, autocommit=True) as admin:
        hostile = _hostile(admin, turn)
        taken = sum(_try_set(admin, f"role {hostile_role}", name, value) for name, value in hostile.items())
    assert taken > 100
    assert left_by(hostile_url, genesis) == clean


def _hostile(admin: psycopg.Connection, turn: int) -> dict[str, str]:
    """Another value for each of the server's settings that a session may have: in each turn another one."""
    query = """select name, setting, vartype, min_val, max_val, enumvals from pg_settings
    where context in ('user', 'superuser', 'backend', 'superuser-backend') and vartype <> 'string'"""
    found: dict[str, str] = {}
    for name, setting, kind, least, most, choices in admin.execute(query):
        others = [value for value in choices or () if value != setting]
        if kind == "bool":
            found[name] = "off" if setting == "on" else "on"
        elif kind == "enum" and others:
            found[name] = others[turn % len(others)]
        elif kind != "enum":
            found[name] = (least, most, "1", setting)[turn]
    return {name: value for name, value in found.items() if name not in NOT_OURS}


def _set(admin: psycopg.Connection, whose: str, name: str, value: str) -> None:
    admin.execute(sql.SQL("alter {} set {} = {}").format(sql.SQL(whose), sql.SQL(name), sql.Literal(value)))


def _try_set(admin: psycopg.Connection, whose: str, name: str, value: str) -> bool:
    try:
        _set(admin, whose, name, value)
    except psycopg.Error:  # no default of a role, or not with this value
        return False
    return True
