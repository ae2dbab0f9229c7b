"""SIGKILL before and after every durable step of checkpointing, snapshotting, restoring and pruning."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest

import node.recovery.replay as replaying
import sync.snapshots.export as exporting
from backbone.intake.intake import Source
from backbone.store import StoreReader, StoreWriter
from ingest.verdicts import judge
from ledger.committee import Committees
from ledger.genesis import Genesis
from node.execution.blocks import BlockSource
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from node.execution.snapshot_making import make_snapshot, tidy
from node.execution.store_pruning import prune_below
from node.home.final_heads import sources
from node.home.layout import Home
from node.recovery.rebuild import RecoverySources
from node.recovery.recover import recover
from node.settings.tree import SnapshotSettings
from node.wiring.databases import create_database, renew_database
from projections.audit.audit import audit_chain, audit_state
from projections.audit.findings import Findings
from projections.audit.fingerprint import ORDER, compare, fingerprint_of, image
from projections.audit.rows import begin
from projections.database import Database
from projections.maintenance.migrate import migrate
from projections.maintenance.pruning import Keep, oldest_height
from projections.session.connect import connect
from projections.snapshots.exporting import ExportedView
from sync.snapshots.restore import open_snapshot, restore, verify_snapshot
from sync.snapshots.stores import Folder
from tests.fail_points import killed_at_every_step
from tests.snapshots import CLUSTER, SmallChain, small_chain

pytestmark = [pytest.mark.postgres]
HEIGHT = 20
SPAN = 4


class InlinePool:
    """Judges where it is asked: a forked child has no worker processes."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis

    def submit(self, records: Sequence[Any]) -> "Future[Any]":
        future: Future[Any] = Future()
        future.set_result(judge(records, self._genesis.digest, self._genesis.limits))
        return future

    def close(self) -> None:
        """Nothing runs."""


@dataclass(frozen=True)
class Made:
    """A chain in a home, databases of it to copy from, and how to copy."""

    chain: SmallChain
    home: Home
    before: str
    at_checkpoint: str
    live: str
    copy: Callable[[str], str]

    def execute(self, url: str, until: int, store: Path | None = None) -> None:
        limits = PipelineLimits(job_records_max=20, flush_records_max=40)
        identity = LogIdentity(CLUSTER, self.chain.genesis.topic_id)
        session = Session(self.chain.genesis, identity, store or self.chain.store, url, limits)
        pool: Any = InlinePool(self.chain.genesis)
        session.run(pool, lambda cursor, checkpoints: None, lambda: False, until)

    def faults(self, url: str) -> list[str]:
        """What an audit of the state finds."""
        findings = Findings()
        with connect(url) as connection, connection.transaction():
            changed = begin(connection)
            place, newest = audit_chain(connection, self.chain.genesis, findings, lambda checkpoint: None)
            at_checkpoint = place is not None and newest is not None and place.height == newest.height
            audit_state(connection, self.chain.genesis, newest, changed, at_checkpoint, findings)
        return [str(finding) for finding in findings.kept]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, postgres: str, new_databases: Callable[[], str]) -> Made:
    path = tmp_path_factory.mktemp("home")
    chain = small_chain(path)

    def copy(url: str) -> str:
        fresh, name = new_databases(), urlsplit(url).path[1:]
        with psycopg.connect(postgres, autocommit=True) as admin:
            admin.execute(f'drop database "{urlsplit(fresh).path[1:]}"')
            admin.execute(f'create database "{urlsplit(fresh).path[1:]}" template "{name}"')
        return fresh

    before = new_databases()
    migrate(before, partition_heights=SPAN)
    first = Made(chain, Home(path), before, "", "", copy)
    first.execute(before, HEIGHT - 1)
    at_checkpoint = copy(before)
    first.execute(at_checkpoint, HEIGHT)
    with Database(at_checkpoint) as database:
        checkpoints = database.newest_checkpoints(9)
    with StoreWriter(chain.store) as store:
        for stored in checkpoints:
            store.append_certificate(stored.checkpoint.height, chain.certificate(stored.checkpoint))
    live = copy(at_checkpoint)
    first.execute(live, chain.height)
    return Made(chain, Home(path), before, at_checkpoint, live, copy)


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "CHUNK_LEAVES", 60)
    monkeypatch.setattr(exporting, "PIECE_DIGESTS", 100)


def test_checkpoint_is_written_whole_or_not_at_all(made: Made) -> None:
    expected = image(made.at_checkpoint).tables
    urls = [made.copy(made.before)]
    for where in killed_at_every_step(lambda: made.execute(urls[-1], HEIGHT)):
        url = urls[-1]
        with Database(url) as database:
            cursor, newest = database.cursor(), database.newest_checkpoints(1)
        assert cursor is not None
        assert (newest[0].checkpoint.height == HEIGHT) is (cursor.height == HEIGHT), where
        assert made.faults(url) == [], where
        made.execute(url, HEIGHT)
        assert compare(image(url).tables, expected) == [], where
        urls.append(made.copy(made.before))


def test_half_a_snapshot_is_never_offered(made: Made, tmp_path: Path) -> None:
    genesis = made.chain.genesis
    places, context = [Folder(tmp_path / "0")], made.chain.context(made.home)

    def step() -> None:
        with ExportedView(made.at_checkpoint) as view:
            make_snapshot(context, places[-1], made.at_checkpoint, HEIGHT, view.id, lambda: None, 0.0)

    offered = 0
    for number, where in enumerate(killed_at_every_step(step), 1):
        for height in places[-1].heights():
            verify_snapshot(open_snapshot(places[-1], height, genesis, Committees.of(genesis)))
            offered += 1
        step()
        assert (places[-1].heights(), places[-1].begun()) == ([HEIGHT], []), where
        verify_snapshot(open_snapshot(places[-1], HEIGHT, genesis, Committees.of(genesis)))
        places.append(Folder(tmp_path / str(number)))
    assert 0 < offered < len(places) / 2


def snapshot(made: Made, folder: Path) -> Folder:
    place = Folder(folder)
    made.chain.snapshot(made.at_checkpoint, place, HEIGHT)
    return place


def test_restore_goes_on_wherever_it_was_killed(made: Made, tmp_path: Path, new_database: Callable[[], str]) -> None:
    genesis = made.chain.genesis
    place = snapshot(made, tmp_path)
    opened = open_snapshot(place, HEIGHT, genesis, Committees.of(genesis))
    empty = new_database()
    migrate(empty, partition_heights=SPAN)
    urls = [made.copy(empty)]

    def step() -> None:
        with Database(urls[-1]) as database:
            if database.cursor() is None:
                restore(opened, genesis, urls[-1], opened.cursor(genesis, CLUSTER))

    expected = image(made.live, HEIGHT).tables
    for where in killed_at_every_step(step):
        with Database(urls[-1]) as database:
            assert (database.cursor() is None) or not database.is_restoring(), where
        step()
        assert made.faults(urls[-1]) == [], where
        made.execute(urls[-1], made.chain.height)
        assert compare(image(urls[-1], HEIGHT).tables, expected) == [], where
        urls.append(made.copy(empty))
    assert len(urls) > 10


def test_pruning_goes_on_wherever_it_was_killed(made: Made, tmp_path: Path) -> None:
    genesis = made.chain.genesis
    place = snapshot(made, tmp_path / "snapshots")
    opened = open_snapshot(place, HEIGHT, genesis, Committees.of(genesis))
    rows = _rows_above(made.live, HEIGHT)
    work: list[tuple[str, Path]] = []

    def again() -> None:
        store = tmp_path / f"store-{len(work)}"
        shutil.copytree(made.chain.store, store)
        work.append((made.copy(made.live), store))

    def step() -> None:
        url, store = work[-1]
        with Database(url) as database, StoreReader(store) as stored:
            database.prune(Keep(heights=1), HEIGHT)
            prune_below(stored, genesis, min(HEIGHT, database.history_floor(Keep(heights=1))))

    again()
    for where in killed_at_every_step(step):
        step()
        url, store = work[-1]
        assert oldest(url) >= HEIGHT - 1, where
        with StoreReader(store) as stored:
            assert 1 < stored.final_after(0, 1)[0].height <= HEIGHT, where
            assert sources(stored, genesis, opened.certified.checkpoint.heads) == [Source(genesis.topic_id)], where
        assert made.faults(url) == [], where
        assert _rows_above(url, HEIGHT) == rows, where
        _is_readable_from(store, made, opened.cursor(genesis, CLUSTER), where)
        again()
    assert len(work) > 10


def oldest(url: str) -> int:
    with connect(url) as connection:
        return oldest_height(connection)


def _rows_above(url: str, height: int) -> dict[str, Any]:
    with connect(url) as connection:
        return {table: fingerprint_of(connection, table, height) for table in ORDER}


def _is_readable_from(store: Path, made: Made, cursor: Any, where: str) -> None:
    with StoreReader(store) as stored:
        source = BlockSource(stored, made.chain.genesis, cursor.height, cursor.block_digest, cursor.heads, rehash=True)
        assert [block.block.header.height for block in source.read(99, 1 << 30, 1 << 30)] == list(
            range(cursor.height + 1, made.chain.height + 1)
        ), where


def test_removing_a_snapshot_offers_no_half_of_it(made: Made, tmp_path: Path) -> None:
    genesis = made.chain.genesis
    whole = snapshot(made, tmp_path / "whole")
    folders = [tmp_path / "0"]

    def again() -> None:
        shutil.copytree(tmp_path / "whole", folders[-1])

    def step() -> None:
        Folder(folders[-1]).remove(HEIGHT)

    again()
    assert tidy(whole, made.chain.context(Home(tmp_path)), SnapshotSettings(keep_count=1)) == []
    for number, where in enumerate(killed_at_every_step(step), 1):
        place = Folder(folders[-1])
        for height in place.heights():
            verify_snapshot(open_snapshot(place, height, genesis, Committees.of(genesis)))
        step()
        assert (place.heights(), place.begun()) == ([], []), where
        folders.append(tmp_path / str(number))
        again()


def test_recovery_goes_on_wherever_it_was_killed(
    made: Made, tmp_path: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From emptying the damaged database to what is executed above the snapshot. The rest is a restore's and a flush's
    steps. What was restored, and not executed yet, is whole: the node goes on from there."""
    monkeypatch.setattr(exporting, "CHUNK_LEAVES", 1_000)
    monkeypatch.setattr(exporting, "PIECE_DIGESTS", 1_000)
    monkeypatch.setattr(replaying, "VerdictPool", lambda *_: InlinePool(made.chain.genesis))
    place = snapshot(made, tmp_path)
    sources = RecoverySources(made.chain.context(made.home), made.chain.store, None, place)
    urls = [damaged(made)]

    def step() -> None:
        name = urlsplit(urls[-1]).path[1:]
        recover(urls[-1], sources, lambda: renew_database(postgres, name))

    expected = image(made.live, HEIGHT).tables
    for where in islice(killed_at_every_step(step), 20):
        create_database(postgres, urlsplit(urls[-1]).path[1:])
        step()
        made.execute(urls[-1], made.chain.height)
        assert compare(image(urls[-1], HEIGHT).tables, expected) == [], where
        assert made.faults(urls[-1]) == [], where
        urls.append(damaged(made))
    assert len(urls) > 10


def damaged(made: Made) -> str:
    url = made.copy(made.live)
    with connect(url) as connection:
        connection.execute("delete from ledger.cursor")
    return url
