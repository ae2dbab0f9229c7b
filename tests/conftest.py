"""What all tests share."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
import structlog
from hypothesis import HealthCheck, settings

from node.embedded.postgres import EmbeddedPostgres
from tests.real_kafka import real_kafka

# A busy machine is slow, not wrong: time limits belong to pytest-timeout.
settings.register_profile("momus", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("momus")


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a real Postgres 18 that may make databases: MOMUS_POSTGRES, or an embedded one of this session.

    Not below pytest's own folder: every pytest of the same user closes that to all others when it starts, and for
    root the server is another user.
    """
    given = os.environ.get("MOMUS_POSTGRES")
    if given:
        yield given
        return
    with (
        TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(Path(folder) / "pg") as server,
    ):
        _hurry(server.url())
        yield server.url()


def _hurry(url: str) -> None:
    """Nothing of this server outlives the tests, so nothing waits for the disk: `drop database` is 20 times faster."""
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("alter system set fsync = off")
        admin.execute("select pg_reload_conf()")


@pytest.fixture(autouse=True)
def _own_logging() -> Iterator[None]:
    """A command that a test ran has bound the logs of this process to the output of that test, which is closed."""
    yield
    structlog.reset_defaults()


@pytest.fixture
def new_database(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty databases that are gone after the test; each call answers the URL of another."""
    with _databases(postgres) as create:
        yield create


@pytest.fixture(scope="module")
def new_databases(postgres: str) -> Iterator[Callable[[], str]]:
    """As `new_database`; gone after the last test of the module."""
    with _databases(postgres) as create:
        yield create


@contextmanager
def _databases(postgres: str) -> Iterator[Callable[[], str]]:
    names: list[str] = []

    def create() -> str:
        name = f"test_{uuid4().hex}"
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f'create database "{name}"')
        names.append(name)
        return urlsplit(postgres)._replace(path=f"/{name}").geturl()

    yield create
    with psycopg.connect(postgres, autocommit=True) as admin:
        for name in names:
            admin.execute(f'drop database if exists "{name}" with (force)')


@pytest.fixture
def postgres_url(new_database: Callable[[], str]) -> str:
    """The URL of an empty database of this test's own."""
    return new_database()


@pytest.fixture(scope="session")
def kafka_bootstrap() -> Iterator[str]:
    """The address of a real Apache Kafka of this session, or the one in MOMUS_KAFKA."""
    with real_kafka() as address:
        yield address
