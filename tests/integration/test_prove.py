"""Rows of a real node's database, proven: there, absent, changed since, and changed by hand."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from psycopg.errors import LockNotAvailable

from backbone.store import StoreReader
from consensus.wire.checkpoint_messages import CheckpointCertificate, CheckpointWire
from ingest.pool import VerdictPool
from ledger import leaves
from ledger.committee import Committees
from ledger.genesis import Genesis, parse_genesis
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from projections.audit.state_leaves import state_leaves
from projections.database import Database, StateDiffers
from projections.maintenance.migrate import migrate
from projections.maintenance.pruning import Keep
from projections.proven_rows import one_view
from projections.session.connect import connect
from proofs.making import Made, make_state_proof
from tests import stranger_verifier
from tests.builders import genesis_bytes, validator_key
from tests.chain_builder import even_cuts, write_store
from tests.random_ledger import RandomLedger

pytestmark = pytest.mark.postgres

BLOCKS = 14
CERTIFIED, NEWEST = 5, 10
GENESIS_FILE = genesis_bytes(4, partitions=1, checkpoint_heights=5, checkpoint_time_ms=10**9)
GENESIS = parse_genesis(GENESIS_FILE)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = RandomLedger(GENESIS, seed=7)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(250))]
    store = tmp_path_factory.mktemp("chain") / "store"
    write_store(store, GENESIS, [values], even_cuts([len(values)], BLOCKS), step_ms=1000)
    return store


@pytest.fixture
def pool() -> Iterator[VerdictPool]:
    with closing(VerdictPool(1, GENESIS.digest, GENESIS.limits)) as made:
        yield made


Run = Callable[[int], None]


@pytest.fixture
def run(store: Path, pool: VerdictPool, postgres_url: str) -> Run:
    """Executes up to a height."""
    migrate(postgres_url)

    def until(height: int) -> None:
        limits = PipelineLimits(job_records_max=20, flush_records_max=40)
        session = Session(GENESIS, LogIdentity("cluster", "topic-id"), store, postgres_url, limits)
        session.run(pool, lambda cursor, checkpoints: None, lambda: False, height)

    return until


def certify(url: str, genesis: Genesis = GENESIS) -> None:
    """Keep a certificate of the newest checkpoint, as the order process does."""
    with Database(url) as database:
        stored = database.newest_checkpoints(1)[0]
        wire = CheckpointWire(genesis, Committees.of(genesis))
        claim = wire.claim(stored.checkpoint)
        signed = wire.signing_bytes(claim)
        signatures = tuple((member, validator_key(member).sign(signed)) for member in range(3))
        database.take_certificates([(claim.height, wire.encode(CheckpointCertificate(claim, signatures)))])


def rows(url: str) -> dict[bytes, bytes]:
    """Objects, balances and assets as they are now."""
    with connect(url) as connection, connection.transaction():
        return {key: value for key, value in state_leaves(connection, GENESIS) if key[0] in (1, 2, 3)}


def prove(url: str, store: Path, key: bytes) -> Made:
    def header(height: int) -> bytes:
        with StoreReader(store) as reader:
            return reader.final_after(height - 1, 1)[0].header_bytes

    made = make_state_proof(url, GENESIS, Committees.of(GENESIS), key, header)
    assert made is not None
    return made


def absent_keys() -> list[bytes]:
    names = [bytes([number]) * 32 for number in range(12)]
    return [
        *map(leaves.object_key, names),
        *map(leaves.asset_key, names),
        *(leaves.balance_key(name, name) for name in names),
    ]


def test_every_row_is_proven_and_what_is_not_there_is_proven_absent(run: Run, postgres_url: str, store: Path) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    state = rows(postgres_url)
    assert {key[0] for key in state} == {1, 2, 3}
    for key in [*sorted(state)[::3], *absent_keys()]:
        made = prove(postgres_url, store, key)
        assert made.value == state.get(key)
        assert not made.has_changed_since
        told = stranger_verifier.verify(made.data, GENESIS_FILE)
        assert (told["key"], told["height"]) == (key, CERTIFIED)
        assert (told["row"] is not None) == (key in state)
        assert told["time_ms"] == made.proven.time_ms is not None


def test_the_row_is_as_of_the_newest_certified_checkpoint_whatever_came_later(
    run: Run, postgres_url: str, store: Path
) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    before = rows(postgres_url)
    for height in (NEWEST - 2, NEWEST, NEWEST + 3):
        run(height)
        now = rows(postgres_url)
        keys = sorted(before.keys() | now.keys())
        changed = [key for key in keys if before.get(key) != now.get(key)]
        assert changed
        for key in [*changed[::2], *keys[::5]]:
            made = prove(postgres_url, store, key)
            assert made.proven.checkpoint.height == CERTIFIED
            assert (made.value, made.live) == (before.get(key), now.get(key))
            assert made.has_changed_since == (key in changed)
            assert stranger_verifier.verify(made.data, GENESIS_FILE)["height"] == CERTIFIED


def test_pruning_leaves_what_proofs_of_the_certified_checkpoint_need(run: Run, postgres_url: str, store: Path) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    before = rows(postgres_url)
    run(NEWEST)
    with Database(postgres_url) as database:
        database.prune(Keep(), CERTIFIED)
    for key in sorted(before)[::7]:
        assert prove(postgres_url, store, key).value == before[key]


def test_nothing_is_proven_before_the_first_certificate(run: Run, postgres_url: str) -> None:
    run(CERTIFIED)
    assert (
        make_state_proof(postgres_url, GENESIS, Committees.of(GENESIS), absent_keys()[0], lambda height: None) is None
    )


@pytest.mark.parametrize(
    ("table", "change", "kind"),
    [
        ("balances", "amount = amount + 1", 2),
        ("assets", "supply = supply + 1", 3),
        ("assets", "name = name || '!'", 3),
        ("objects", "version = version + 1", 1),
        ("objects", "content_digest = sha256(content_digest)", 1),
        ("object_contents", "content = content || 'x'", 1),
        ("object_contents", "media_type = media_type || 'x'", 1),
        ("object_types", "type = type || 'x'", 1),
    ],
)
def test_a_row_changed_by_hand_is_not_proven(
    table: str, change: str, kind: int, run: Run, postgres_url: str, store: Path
) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    key = next(key for key in rows(postgres_url) if key[0] == kind)
    with connect(postgres_url) as connection:
        where = "asset = %s AND address = %s" if kind == 2 else "object = %s" if "object_" in table else "id = %s"
        names = [key[1:33], key[33:]] if kind == 2 else [key[1:]]
        assert connection.execute(f"UPDATE ledger.{table} SET {change} WHERE {where}".encode(), names).rowcount >= 1
    with pytest.raises(StateDiffers, match="by hand"):
        prove(postgres_url, store, key)


def test_after_more_blocks_an_object_that_they_did_not_touch_is_still_found_changed(
    run: Run, postgres_url: str, store: Path
) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    run(CERTIFIED + 2)
    with connect(postgres_url) as connection:
        noted = {row[0] for row in connection.execute("SELECT key FROM ledger.changed_keys")}
        untouched = [key for key in rows(postgres_url) if key[0] == 1 and key not in noted]
        assert noted
        for key in untouched:
            connection.execute("UPDATE ledger.objects SET version = version + 1 WHERE id = %s", (key[1:],))
    assert untouched
    for key in untouched:
        with pytest.raises(StateDiffers, match="nothing executed since"):
            prove(postgres_url, store, key)


def test_a_row_made_or_removed_by_hand_is_not_proven(run: Run, postgres_url: str, store: Path) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    key = next(key for key in rows(postgres_url) if key[0] == 2)
    invented = leaves.balance_key(key[1:33], b"\xee" * 32)
    with connect(postgres_url) as connection:
        connection.execute("DELETE FROM ledger.balances WHERE asset = %s AND address = %s", (key[1:33], key[33:]))
        connection.execute(
            "INSERT INTO ledger.balances (asset, address, amount) VALUES (%s, %s, 5)", (key[1:33], b"\xee" * 32)
        )
    for one in (key, invented):
        with pytest.raises(StateDiffers, match="by hand"):
            prove(postgres_url, store, one)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger.tree_leaves SET value = '\\x0000000000000001'",
        "DELETE FROM ledger.tree_leaves",
        "DELETE FROM ledger.tree_nodes WHERE path = ''",
        "DELETE FROM ledger.tree_nodes WHERE length(path) = 1",
        "UPDATE ledger.tree_nodes SET node = overlay(node placing '\\x00' from 20)",
        "UPDATE ledger.certificates SET certificate = overlay(certificate placing '\\x00' from 90)",
        "UPDATE ledger.certificates SET certificate = '\\x00'",
    ],
)
def test_a_tree_or_certificate_changed_by_hand_proves_nothing(
    statement: str, run: Run, postgres_url: str, store: Path
) -> None:
    run(CERTIFIED)
    certify(postgres_url)
    key = next(key for key in rows(postgres_url) if key[0] == 2)
    with connect(postgres_url) as connection:
        assert connection.execute(statement.encode()).rowcount
    with pytest.raises(StateDiffers, match="by hand"):
        prove(postgres_url, store, key)


def test_a_checkpoint_cannot_empty_the_tables_of_changes_under_a_view(run: Run, postgres_url: str) -> None:
    """Truncation shows in views that are older than it: a row changed since would look changed by hand."""
    run(CERTIFIED + 2)
    with connect(postgres_url) as viewer, connect(postgres_url) as flusher:
        flusher.execute("SET lock_timeout = '50ms'")
        with one_view(viewer):
            with pytest.raises(LockNotAvailable):
                flusher.execute("TRUNCATE ledger.changed_balances, ledger.changed_keys")
            seen = viewer.execute("SELECT count(*) FROM ledger.changed_keys").fetchone()
        flusher.execute("TRUNCATE ledger.changed_balances, ledger.changed_keys")
    assert seen is not None
    assert seen[0] > 0
