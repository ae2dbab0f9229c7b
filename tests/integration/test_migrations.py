"""Migrations: up, down, up again; linted; by roles with and without rights; in databases of every kind."""

import hashlib
import hmac
import json
import os
import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest

from ledger.rejection import Reason
from node.embedded.postgres_files import programs
from projections.database import Database, DatabaseUnusable
from projections.maintenance.migrate import MIGRATIONS, downgrade, migrate, newest_revision, offline_sql
from tests import flush_effects as effects
from tests.flush_effects import cursor_at
from tests.fresh_python import in_fresh_python

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"
READER = Path(__file__).parents[2] / "deploy" / "postgres" / "reader.sql"

_CATALOG = """
select n.nspname || '.' || c.relname || ':' || c.relkind::text from pg_class c
join pg_namespace n on n.oid = c.relnamespace where n.nspname in ('ledger', 'api')
union all select 'function ' || p.proname from pg_proc p where p.pronamespace = to_regnamespace('api')"""


def _catalog(url: str) -> set[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        return {str(row[0]) for row in connection.execute(_CATALOG)}


@pytest.fixture
def plain_url(postgres: str, new_database: Callable[[], str]) -> Iterator[str]:
    """An empty database of a role that may nothing else: no superuser, no roles, no other database."""
    role, url = f"plain_{uuid4().hex}", new_database()
    database = urlsplit(url).path[1:]
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create role {role} login password 'plain'")
        admin.execute(f'alter database "{database}" owner to {role}')
    parts = urlsplit(url)
    yield parts._replace(netloc=f"{role}:plain@{parts.netloc.rpartition('@')[2]}").geturl()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(f"drop owned by {role} cascade")
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f'alter database "{database}" owner to current_user')
        admin.execute(f"drop role {role}")


def test_database_with_the_newest_tables_needs_no_alembic(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select version_num from ledger.alembic_version").fetchall() == [(newest_revision(),)]
    code = f"""
import sys
from projections.maintenance.migrate import migrate
assert migrate({postgres_url!r}, 7) == ()
print(*({{"alembic", "sqlalchemy"}} & set(sys.modules)))
"""
    assert in_fresh_python(code, 1).strip() == ""
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("select partition_heights from ledger.layout").fetchall() == [(7,)]


def test_down_leaves_nothing_and_up_again_makes_the_same(postgres_url: str) -> None:
    migrate(postgres_url)
    made = _catalog(postgres_url)
    with Database(postgres_url) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
    downgrade(postgres_url)
    left = _catalog(postgres_url)
    assert left == {"ledger.alembic_version:r", "ledger.alembic_version_pkc:i"}
    migrate(postgres_url)
    assert _catalog(postgres_url) == made
    with Database(postgres_url) as database:
        assert database.cursor() is None


def test_each_step_goes_down_by_itself(postgres_url: str) -> None:
    migrate(postgres_url)
    made = _catalog(postgres_url)
    downgrade(postgres_url, "0001")
    assert not any(entry.startswith(("api", "function")) for entry in _catalog(postgres_url))
    migrate(postgres_url)
    assert _catalog(postgres_url) == made


def test_migrating_twice_or_at_once_is_migrating_once(postgres_url: str) -> None:
    with ThreadPoolExecutor(3) as threads:
        assert list(threads.map(migrate, [postgres_url] * 3)) == [(), (), ()]


def test_the_partition_size_is_set_only_before_there_is_history(postgres_url: str) -> None:
    migrate(postgres_url, partition_heights=7)
    with Database(postgres_url) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
    migrate(postgres_url, partition_heights=8)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        assert connection.execute("select partition_heights from ledger.layout").fetchone() == (7,)


def test_a_plain_owner_of_a_database_can_do_everything(plain_url: str) -> None:
    migrate(plain_url)
    with Database(plain_url) as database:
        database.initialise(cursor_at(0))
        database.flush(effects.first(), 0, cursor_at(1))
        database.maintain()
    with psycopg.connect(plain_url, autocommit=True) as connection:
        assert connection.execute("select count(*) from api.transfers").fetchone() == (2,)
        assert connection.execute("select usesuper from pg_user where usename = current_user").fetchone() == (False,)
    downgrade(plain_url)
    migrate(plain_url)


@contextmanager
def _without_readers(postgres: str) -> Iterator[None]:
    """As if no role for readers had been made yet."""
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute("alter role momus_reader rename to momus_reader_hidden")
    try:
        yield
    finally:
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute("drop role if exists momus_reader")
            admin.execute("alter role momus_reader_hidden rename to momus_reader")


def test_a_plain_owner_is_told_that_there_is_no_role_for_readers(postgres: str, plain_url: str) -> None:
    with _without_readers(postgres):
        (notice,) = migrate(plain_url)
        assert "momus_reader was not made" in notice


def test_what_an_administrator_is_told_to_run_bounds_readers_where_the_owner_may_not(
    postgres: str, plain_url: str
) -> None:
    parts = urlsplit(plain_url)
    (notice,) = migrate(plain_url)[-1:]
    assert "docs/sql.md" in notice
    (script,) = re.findall(r"```postgresql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    script = script.replace("database momus ", f'database "{parts.path[1:]}" ').replace(
        "to momus;", f"to {parts.username};"
    )
    with psycopg.connect(parts._replace(netloc=urlsplit(postgres).netloc).geturl(), autocommit=True) as admin:
        admin.execute(f'alter database "{parts.path[1:]}" owner to {parts.username}')
        admin.execute(script.encode())
    assert migrate(plain_url) == ()
    with Database(plain_url) as database:
        assert database.end_old_readers() == 0


def test_the_role_that_containers_make_beforehand_keeps_its_password_and_gets_its_rights(
    postgres: str, new_database: Callable[[], str]
) -> None:
    url, password = new_database(), "it's \\ one"
    psql = [str(programs() / "psql"), "--no-psqlrc", "--set=ON_ERROR_STOP=1", f"--dbname={url}"]
    with _without_readers(postgres), psycopg.connect(url, autocommit=True) as admin:
        made = [*psql, f"--file={READER}"]
        subprocess.run(made, check=True, capture_output=True, env=os.environ | {"LEDGER_READER_PASSWORD": password})
        try:
            assert migrate(url) == ()
            (kept,) = admin.execute("select rolpassword from pg_authid where rolname = 'momus_reader'").fetchall()
            assert _is_password(str(kept[0]), password)
            admin.execute("set role momus_reader")
            assert admin.execute("select count(*) from api.transfers").fetchone() == (0,)
        finally:
            admin.execute("reset role")
            admin.execute("drop owned by momus_reader")


def _is_password(kept: str, password: str) -> bool:
    """Whether Postgres' `SCRAM-SHA-256$rounds:salt$stored:server` was made of it (RFC 5803)."""
    _, rounds_and_salt, keys = kept.split("$")
    rounds, salt = rounds_and_salt.split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), b64decode(salt), int(rounds))
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    return b64decode(keys.split(":")[0]) == hashlib.sha256(client_key).digest()


def test_a_database_in_another_encoding_is_refused(postgres: str) -> None:
    name = f"test_{uuid4().hex}"
    with psycopg.connect(postgres, autocommit=True) as admin:
        admin.execute(f"create database {name} encoding 'SQL_ASCII' locale 'C' locale_provider libc template template0")
        try:
            with pytest.raises(DatabaseUnusable, match="SQL_ASCII"):
                migrate(urlsplit(postgres)._replace(path=f"/{name}").geturl())
        finally:
            admin.execute(f"drop database {name}")


def test_a_database_of_a_newer_program_is_refused(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("update ledger.alembic_version set version_num = '9999'")
    with pytest.raises(DatabaseUnusable, match=r"has table format 9999, .* a newer version wrote it"):
        migrate(postgres_url)


def test_the_words_for_reasons_are_those_of_the_protocol(postgres_url: str) -> None:
    migrate(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        rows = connection.execute("select code, name, sentence from api.reasons order by code").fetchall()
    assert rows == [(reason.value, reason.name.lower(), reason.sentence) for reason in Reason if reason.value]


def test_the_linter_of_migrations_finds_nothing(tmp_path: Path) -> None:
    script = tmp_path / "migrations.sql"
    script.write_text(offline_sql())
    squawk = Path(sys.executable).parent / "squawk"
    done = subprocess.run(
        [squawk, "--config", MIGRATIONS / "squawk.toml", "--reporter", "json", script], capture_output=True, text=True
    )
    assert json.loads(done.stdout) == []
    assert done.returncode == 0, done.stderr


def test_the_offline_script_makes_the_same_schema(postgres_url: str, new_database: Callable[[], str]) -> None:
    migrate(postgres_url)
    other = new_database()
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(offline_sql().encode())
    assert _catalog(other) == _catalog(postgres_url)
