"""Concrete parts from settings: the log, the validator's key, the database's URL, the snapshot store."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from backbone.log.embedded import EmbeddedLog
from backbone.log.fenced import FencingLog
from backbone.log.kafka import TIMEOUT_MS, KafkaLog
from ledger.committee import Committee
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from node.embedded.postgres import EmbeddedPostgres
from node.home.keystore import load_key
from node.home.layout import Home, HomeUnusable
from node.settings.secrets import read_secret, with_secrets
from node.settings.tree import BadSettings, Settings
from sync.records import RangeLimits
from sync.snapshots.stores import Folder, SnapshotStore

if TYPE_CHECKING:
    from sync.peers import PeerRecords

_log = structlog.get_logger()

DATABASE: Final = "momus"
"""The node's database on the embedded Postgres."""


def range_limits(settings: Settings, genesis: Genesis) -> RangeLimits:
    """Bounds of a range of records between this node and others."""
    limits = RangeLimits(settings.peers.records_max, settings.peers.bytes_max)
    return limits.above_a_block(genesis.limits.records_max, genesis.limits.bytes_max)


def record_source(home: Home, settings: Settings, genesis: Genesis) -> "PeerRecords | None":
    """The other validators, to be asked for records; None where none are known. Raises: BadSettings."""
    # Most commands ask nobody and should not wait until an HTTP client is loaded.
    from sync.peers import PeerLimits, PeerRecords

    peers = settings.peers
    if not peers.urls:
        return None
    limits = PeerLimits(
        range=range_limits(settings, genesis),
        connect_ms=peers.connect_ms,
        silence_ms=peers.silence_ms,
        request_ms=peers.request_ms,
        fetch_ms=peers.fetch_ms,
    )
    ca_file = None if peers.ca_file is None else home.resolve(peers.ca_file)
    try:
        return PeerRecords(peers.urls, limits, ca_file, report=lambda what, facts: _log.warning(what, **facts))
    except OSError as error:
        raise BadSettings(f"peers.ca_file: {ca_file} cannot be used: {error}.") from error


@contextmanager
def open_log(home: Home, settings: Settings) -> Iterator[FencingLog]:
    """The log of the settings, closed at the end. Raises: BadSettings, LogUnavailable."""
    log = make_log(home, settings)
    try:
        yield log
    finally:
        log.close()


def make_log(home: Home, settings: Settings, timeout_ms: int = TIMEOUT_MS) -> FencingLog:
    """The log of the settings; a question to it has `timeout_ms`. Raises: BadSettings, LogUnavailable."""
    if settings.log.kind == "embedded":
        return EmbeddedLog(home.resolve(settings.log.path))
    if "bootstrap.servers" not in settings.kafka:
        raise BadSettings('log.kind is "kafka", so "bootstrap.servers" must stand under [kafka].')
    try:
        return KafkaLog(with_secrets(settings.kafka), timeout_ms)
    except (OSError, ValueError) as error:
        raise BadSettings(f"The client properties under [kafka] cannot be used: {error}.") from error


def snapshot_place(home: Home, settings: Settings) -> SnapshotStore:
    """Where snapshots are kept. Raises: SnapshotStoreUnavailable."""
    place = settings.snapshots.place
    if "://" not in place:
        return Folder(home.resolve(Path(place)))
    # A library of its own, which few load.
    from sync.snapshots.objects import Objects

    return Objects.at(place, home.run / "snapshots")


def validator_key(home: Home, settings: Settings, committee: Committee) -> PrivateKey:
    """The key that signs here, which must be the one that genesis names. Raises: KeyUnusable, HomeUnusable."""
    key = load_key(home.validator_key_file, passphrase(settings))
    index = committee.index_of(key.public_key)
    if index is None or committee.names[index] != settings.validator:
        raise HomeUnusable(
            f"{home.validator_key_file} is not the key that genesis.json gives to the validator "
            f"{settings.validator}: check `validator` in momus.toml, or put the right key file there."
        )
    return key


def passphrase(settings: Settings) -> str | None:
    """The passphrase of key files. Raises: BadSettings."""
    return passphrase_in(settings.keys.passphrase_file)


def passphrase_in(file: Path | None) -> str | None:
    """The first line of a file; None where none is named. Raises: BadSettings."""
    try:
        return None if file is None else read_secret(file).splitlines()[0]
    except (OSError, ValueError, IndexError) as error:
        raise BadSettings(f"keys.passphrase_file: {file} cannot be read or is empty: {error}.") from error


def database_url(home: Home, settings: Settings) -> str:
    """Where the node's database is. Raises: BadSettings."""
    postgres = settings.postgres
    given = _given_url(postgres.url_file, "" if postgres.url == "embedded" else postgres.url, "postgres.url")
    return given or EmbeddedPostgres(home.postgres).url(DATABASE)


def database_url_of_the_api(home: Home, settings: Settings) -> str:
    """Where the API reads: a replica, or the node's database. Raises: BadSettings."""
    api = settings.api
    return _given_url(api.postgres_url_file, api.postgres_url, "api.postgres_url") or database_url(home, settings)


def _given_url(file: Path | None, url: str, name: str) -> str | None:
    """Of the settings `name` and `name`_file. Raises: BadSettings."""
    if file is not None:
        try:
            return _connectable(read_secret(file), f"what {name}_file holds")
        except (OSError, ValueError) as error:
            raise BadSettings(f"{name}_file cannot be read: {error}.") from error
    return _connectable(url, name) if url else None


def _connectable(url: str, what: str) -> str:
    """Raises: BadSettings, in words of our own: libpq's repeat what it could not read, a password as it may be."""
    # Order and peers have no database.
    from psycopg import Error
    from psycopg.conninfo import conninfo_to_dict

    try:
        conninfo_to_dict(url)
    except Error:
        raise BadSettings(
            f"{what} is no URL of a database: postgresql://USER:PASSWORD@HOST:PORT/DATABASE, with %-escapes for "
            "special characters."
        ) from None
    return url


def postgres_service(home: Home, settings: Settings) -> EmbeddedPostgres | None:
    """The Postgres that `momus run` keeps up; None where another one is configured."""
    is_embedded = settings.postgres.url_file is None and settings.postgres.url == "embedded"
    return EmbeddedPostgres(home.postgres) if is_embedded else None
