"""`momus init`: makes a chain for one machine, and the home of its validator. The only place that makes topics,
journals and keys; what is there already is never overwritten, and what a failed attempt made is taken back."""

import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from backbone.log import Log
from backbone.topics import chain_topics
from consensus.journal_file import create as create_journal
from ledger.genesis import DEFAULT_LIMITS, Validator, parse_genesis, render_genesis
from ledger.keys import PrivateKey
from node import wiring
from node.files import create_file
from node.home import Home, HomeUnusable
from node.keystore import create_key
from node.make_database import make_database
from node.make_settings import settings_text
from node.settings import read_settings

DEV_WINDOW_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make. `kafka` are client properties; `postgres` is "embedded", a URL, or the path of a file with one."""

    chain: str
    validator: str
    partitions: int
    replicas: int
    kafka: Mapping[str, str] | None
    log_path: Path | None
    postgres: str
    passphrase_file: Path | None
    is_dev: bool


@dataclass(frozen=True, slots=True)
class Made:
    """What was made. `client` is the key of a user of the chain, only with `is_dev`."""

    home: Home
    genesis_digest: bytes
    cluster_id: str
    topic_id: str
    client: PrivateKey | None


def make_home(path: Path, plan: Plan) -> Made:
    """Make everything, or nothing.

    Raises: HomeUnusable (there is something already), TopicExists, LogUnavailable, DatabaseUnavailable,
    PostgresUnusable, BadSettings, GenesisError, OSError.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise HomeUnusable(f"{path} exists and is not empty; init never overwrites. Give another --home, or remove it.")
    home = Home(path.absolute())
    with ExitStack() as undo:
        undo.callback(shutil.rmtree, home.path, ignore_errors=True)
        home.make_folders()
        made = _make(home, plan, undo)
        undo.pop_all()
        return made


def _make(home: Home, plan: Plan, undo: ExitStack) -> Made:
    text = settings_text(plan.validator, plan.kafka, plan.log_path, plan.postgres, plan.passphrase_file)
    draft = home.path / "momus.toml.draft"
    create_file(draft, text.encode(), 0o600)
    settings = read_settings(draft, dict(os.environ))
    key, client = _make_keys(home, plan, wiring.passphrase(settings))
    make_database(home, settings)
    with wiring.open_log(home, settings) as log:
        cluster_id = log.cluster_id()
        topic_id = _make_topics(log, plan, undo)
    genesis = _genesis(plan, topic_id, key)
    create_file(home.genesis_file, genesis)
    digest = parse_genesis(genesis).digest
    create_journal(home.journal_file, digest, key.public_key)
    create_file(home.settings_file, text.replace("[log]\n", f'[log]\ncluster_id = "{cluster_id}"\n').encode())
    draft.unlink()
    return Made(home, digest, cluster_id, topic_id, client)


def _make_keys(home: Home, plan: Plan, passphrase: str | None) -> tuple[PrivateKey, PrivateKey | None]:
    key = PrivateKey.generate()
    create_key(home.validator_key_file, "validator", key, passphrase)
    if not plan.is_dev:
        return key, None
    client = PrivateKey.generate()
    create_key(home.client_key_file, "client", client, passphrase)
    return key, client


def _make_topics(log: Log, plan: Plan, undo: ExitStack) -> str:
    """The chain's topics; the id of the one with transactions."""
    specs = chain_topics(plan.chain, [plan.validator], plan.partitions, plan.replicas)
    log.create(specs)
    undo.callback(log.delete, [spec.name for spec in specs])
    return log.describe(f"momus.{plan.chain}.transactions").topic_id


def _genesis(plan: Plan, topic_id: str, key: PrivateKey) -> bytes:
    limits = replace(DEFAULT_LIMITS, window_ms=DEV_WINDOW_MS) if plan.is_dev else DEFAULT_LIMITS
    validator = Validator(plan.validator, key.address, key.public_key, 1)
    return render_genesis(
        chain=plan.chain, topic_id=topic_id, validators=[validator], partitions=plan.partitions, limits=limits
    )
