"""`momus init`: makes a chain for one machine, and the home of each of its validators. With `node.setup.join` the only
place that makes topics, journals and keys; what is there already is never overwritten, and what a failed attempt made
is taken back."""

import os
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from backbone.log import Log
from backbone.topics import chain_topics
from ledger.genesis import (
    DEFAULT_CHECKPOINT_HEIGHTS,
    DEFAULT_CHECKPOINT_TIME_MS,
    DEFAULT_LIMITS,
    Validator,
    render_genesis,
)
from ledger.keys import PrivateKey
from node.home.layout import Home
from node.setup.make_settings import Endpoints
from node.setup.making import making
from node.setup.new_home import NewHome

DEV_WINDOW_MS = 86_400_000
LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Plan:
    """What to make. One of `validators` gets the folder itself as its home, several a folder each below it."""

    chain: str
    validators: tuple[str, ...]
    partitions: int
    replicas: int
    places: Endpoints
    is_dev: bool
    checkpoint_heights: int = DEFAULT_CHECKPOINT_HEIGHTS
    checkpoint_ms: int = DEFAULT_CHECKPOINT_TIME_MS


@dataclass(frozen=True, slots=True)
class Made:
    """What was made. `client` is the key of a user of the chain, only with `is_dev`; it lies in the first home."""

    homes: tuple[Home, ...]
    genesis_digest: bytes
    cluster_id: str
    topic_id: str
    client: PrivateKey | None

    @property
    def home(self) -> Home:
        """The only home, or the first."""
        return self.homes[0]


def make_homes(path: Path, plan: Plan, at_last: Callable[[Made], None] = lambda made: None) -> Made:
    """Make everything, or nothing; `at_last` is a part of it.

    Raises: HomeUnusable (there is something already), TopicExists, LogUnavailable, DatabaseUnavailable,
    PostgresUnusable, BadSettings, GenesisError, OSError.
    """
    folder = path.absolute()
    with making(folder):
        return _make(folder, plan, at_last)


def _make(folder: Path, plan: Plan, at_last: Callable[[Made], None]) -> Made:
    news = _new_homes(folder, plan)
    keys = [PrivateKey.generate() for _ in news]
    for new, key in zip(news, keys, strict=True):
        new.put_key(key)
    client = PrivateKey.generate() if plan.is_dev else None
    if client is not None:
        news[0].put_client_key(client)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(NewHome.make_database, news))
    with news[0].open_log() as log, ExitStack() as undo:
        cluster_id = log.cluster_id()
        topic_id = _make_topics(log, plan, undo)
        genesis = _genesis(plan, topic_id, keys)
        for new, key in zip(news, keys, strict=True):
            digest = new.finish(genesis, key.public_key, cluster_id)
        made = Made(tuple(new.home for new in news), digest, cluster_id, topic_id, client)
        at_last(made)
        undo.pop_all()
    return made


def _new_homes(folder: Path, plan: Plan) -> list[NewHome]:
    """One home is the folder itself; several lie below it, share the log, divide the processors and know each other."""
    if len(plan.validators) == 1:
        return [NewHome(folder, plan.validators[0], plan.places)]
    shared = folder / "log" if plan.places.kafka is None else None
    workers = max(1, (os.cpu_count() or 1) // len(plan.validators))
    places = replace(plan.places, log_path=plan.places.log_path or shared, workers=workers)
    count = len(plan.validators)
    free = _free_addresses(3 * count)
    listens, metrics, api = free[:count], free[count : 2 * count], free[2 * count :]
    return [
        NewHome(folder / name, name, replace(places, listen=own, peers=_urls(listens, own), metrics=numbers, api=page))
        for name, own, numbers, page in zip(plan.validators, listens, metrics, api, strict=True)
    ]


def _free_addresses(count: int) -> list[str]:
    """Addresses of this machine that nobody listens on now. Whoever takes one before `momus run` has it."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.create_server((LOOPBACK, 0))) for _ in range(count)]
        return [f"{LOOPBACK}:{listener.getsockname()[1]}" for listener in listeners]


def _urls(listens: Sequence[str], own: str) -> tuple[str, ...]:
    return tuple(f"http://{listen}" for listen in listens if listen != own)


def _make_topics(log: Log, plan: Plan, undo: ExitStack) -> str:
    """The chain's topics; the id of the one with transactions."""
    specs = chain_topics(plan.chain, plan.validators, plan.partitions, plan.replicas)
    log.create(specs)
    undo.callback(log.delete, [spec.name for spec in specs])
    return log.describe(specs[0].name).topic_id


def _genesis(plan: Plan, topic_id: str, keys: list[PrivateKey]) -> bytes:
    limits = replace(DEFAULT_LIMITS, window_ms=DEV_WINDOW_MS) if plan.is_dev else DEFAULT_LIMITS
    validators = [
        Validator(name, key.address, key.public_key, 1) for name, key in zip(plan.validators, keys, strict=True)
    ]
    return render_genesis(
        chain=plan.chain,
        topic_id=topic_id,
        validators=validators,
        partitions=plan.partitions,
        limits=limits,
        checkpoint_heights=plan.checkpoint_heights,
        checkpoint_time_ms=plan.checkpoint_ms,
    )
