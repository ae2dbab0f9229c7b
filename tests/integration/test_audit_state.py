"""Rows, tree, cursor and checkpoints against the state root: what is altered by hand is named, what is clean passes."""

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ingest.pool import VerdictPool
from ledger.genesis import Genesis, parse_genesis
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from projections.audit.audit import StateAudited, audit_chain, audit_state
from projections.audit.findings import Findings
from projections.audit.rows import begin
from projections.maintenance.migrate import migrate
from projections.session.connect import connect
from tests.builders import genesis_bytes
from tests.chain_builder import even_cuts, write_store
from tests.random_ledger import RandomLedger

pytestmark = pytest.mark.postgres

BLOCKS = 24
HEIGHTS = 5
DRAWN = 250
Chain = tuple[Genesis, Path, int]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain with a checkpoint every five heights, so that block 24 lies between two."""
    genesis = parse_genesis(genesis_bytes(partitions=1, checkpoint_heights=HEIGHTS, checkpoint_time_ms=10**9))
    source = RandomLedger(genesis, seed=5)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(DRAWN))]
    store = tmp_path_factory.mktemp("chain") / "store"
    height = write_store(store, genesis, [values], even_cuts([len(values)], BLOCKS), step_ms=40_000)
    return genesis, store, height


@pytest.fixture
def pool(chain: Chain) -> Iterator[VerdictPool]:
    with closing(VerdictPool(1, chain[0].digest, chain[0].limits)) as made:
        yield made


def execute(chain: Chain, url: str, pool: VerdictPool, until: int) -> None:
    genesis, store, _ = chain
    migrate(url)
    limits = PipelineLimits(job_records_max=20, flush_records_max=40)
    session = Session(genesis, LogIdentity("cluster", "topic-id"), store, url, limits)
    session.run(pool, lambda cursor, checkpoints: None, lambda: False, until)


def audit(chain: Chain, url: str) -> tuple[StateAudited, Findings]:
    """As `momus audit` does, in one transaction."""
    genesis = chain[0]
    findings = Findings()
    with connect(url) as connection, connection.transaction():
        changed = begin(connection)
        place, newest = audit_chain(connection, genesis, findings, lambda checkpoint: None)
        at_checkpoint = place is not None and newest is not None and place.height == newest.height
        audited = audit_state(connection, genesis, newest, changed, at_checkpoint, findings)
    return audited, findings


def rows_in(url: str) -> int:
    with connect(url) as connection:
        counts = [
            connection.execute(f"select count(*) from ledger.{table}").fetchone()
            for table in ("objects", "balances", "assets", "expiry_buckets")
        ]
    return sum(row[0] for row in counts if row is not None)


def test_clean_database_passes_at_a_checkpoint_and_between_two(
    chain: Chain, pool: VerdictPool, new_database: Callable[[], str]
) -> None:
    url = new_database()
    for until, newest in ((5, 5), (7, 5), (20, 20), (24, 20)):
        execute(chain, url, pool, until)
        audited, findings = audit(chain, url)
        assert findings.kept == [], until
        assert audited.checkpoint_height == newest
        assert audited.rows >= rows_in(url) > 0
        assert (audited.changed > 0) is (until != newest)


ALTERED = {
    "balance changed": ("balances", "update ledger.balances set amount = amount + 1 where ctid = (@balances)"),
    "balance removed": ("balances", "delete from ledger.balances where ctid = (@balances)"),
    "balance added": (
        "balances",
        "insert into ledger.balances select asset, sha256(address), 7 from ledger.balances limit 1",
    ),
    "object changed": ("objects", "update ledger.objects set version = version + 1 where ctid = (@objects)"),
    "object's content changed": (
        "objects",
        (
            "update ledger.object_contents set content = content || 'x' where (object, version) in"
            " (select id, content_version from ledger.objects limit 1)"
        ),
    ),
    "object's content removed": (
        "objects",
        (
            "delete from ledger.object_contents where (object, version) in"
            " (select id, content_version from ledger.objects limit 1)"
        ),
    ),
    "object's media type changed": (
        "objects",
        (
            "update ledger.object_contents set media_type = 'x' where (object, version) in"
            " (select id, content_version from ledger.objects limit 1)"
        ),
    ),
    "object's type changed": (
        "objects",
        "update ledger.object_types set type = 'x' where object in (select id from ledger.objects limit 1)",
    ),
    "writer added": (
        "objects",
        "insert into ledger.object_writers select id, sha256(id) from ledger.objects where ownership = 1 limit 1",
    ),
    "object owner nonsense": ("objects", "update ledger.objects set owner = sha256(owner) where ctid = (@objects)"),
    "object removed": ("objects", "delete from ledger.objects where ctid = (@objects)"),
    "object added": (
        "objects",
        (
            "insert into ledger.objects select sha256(id), version, ownership, owner, writers, details_digest,"
            " content_version, content_size_bytes, content_digest from ledger.objects limit 1"
        ),
    ),
    "asset changed": ("assets", "update ledger.assets set supply = supply + 1 where ctid = (@assets)"),
    "asset decimals": ("assets", "update ledger.assets set decimals = 17 where ctid = (@assets)"),
    "asset removed": ("assets", "delete from ledger.assets where ctid = (@assets)"),
    "asset added": (
        "assets",
        "insert into ledger.assets select sha256(id), name, decimals, issuer, supply from ledger.assets limit 1",
    ),
    "bucket changed": (
        "expiry_buckets",
        "update ledger.expiry_buckets set hash = sha256(hash) where ctid = (@expiry_buckets)",
    ),
    "bucket removed": ("expiry_buckets", "delete from ledger.expiry_buckets where ctid = (@expiry_buckets)"),
    "bucket added": ("expiry_buckets", "insert into ledger.expiry_buckets values (1, 1, sha256('x'))"),
    "digest removed": ("remembered", "delete from ledger.remembered where ctid = (@remembered)"),
    "digest added": (
        "remembered",
        "insert into ledger.remembered select bucket, sha256(digest), height, rank from ledger.remembered limit 1",
    ),
    "digest replaced": (
        "remembered",
        "update ledger.remembered set digest = sha256(digest) where ctid = (@remembered)",
    ),
    "digest of another height": (
        "remembered",
        "update ledger.remembered set height = height + 1 where ctid = (@remembered)",
    ),
    "root node altered": ("tree_nodes", r"update ledger.tree_nodes set node = set_byte(node, 20, 1) where path = ''"),
    "inner node altered": (
        "tree_nodes",
        (
            "update ledger.tree_nodes n set node = set_byte(node, 20, 255 - get_byte(node, 20)) where length(path) = 1"
            " and not exists (select from ledger.tree_stale s where s.key = n.path and s.version = n.version)"
        ),
    ),
    "inner node garbage": (
        "tree_nodes",
        (
            r"update ledger.tree_nodes n set node = '\x00' where length(path) = 1"
            " and not exists (select from ledger.tree_stale s where s.key = n.path and s.version = n.version)"
        ),
    ),
    "inner nodes removed": (
        "tree_nodes",
        (
            "delete from ledger.tree_nodes n where length(path) = 1"
            " and not exists (select from ledger.tree_stale s where s.key = n.path and s.version = n.version)"
        ),
    ),
    "node added": ("tree_nodes", r"insert into ledger.tree_nodes values ('\x0102', 3, '\x00')"),
    "leaf altered": (
        "tree_leaves",
        (
            r"update ledger.tree_leaves l set value = value || '\x00' where not exists"
            " (select from ledger.tree_stale s where s.key = l.key_hash and s.version = l.version)"
        ),
    ),
    "leaves removed": (
        "tree_leaves",
        (
            "delete from ledger.tree_leaves l where not exists"
            " (select from ledger.tree_stale s where s.key = l.key_hash and s.version = l.version)"
        ),
    ),
    "leaf added": (
        "tree_leaves",
        "insert into ledger.tree_leaves select sha256(key_hash), 3, key, value from ledger.tree_leaves limit 1",
    ),
    "stale entry of a piece in use": (
        "tree_stale",
        (
            r"insert into ledger.tree_stale select 20, false, path, version from ledger.tree_nodes n where path = ''"
            " order by version desc limit 1"
        ),
    ),
    "stale entry since never": (
        "tree_stale",
        "update ledger.tree_stale set since = 13 where ctid = (select ctid from ledger.tree_stale limit 1)",
    ),
    "stale entry of nothing": ("tree_stale", r"insert into ledger.tree_stale values (20, true, '\xff', 5)"),
    "stale entry removed": (
        "tree_",
        "delete from ledger.tree_stale where ctid = (select ctid from ledger.tree_stale limit 1)",
    ),
    "root altered": ("tree_root", "update ledger.tree_root set root = set_byte(root, 30, 255 - get_byte(root, 30))"),
    "root garbage": ("tree_root", r"update ledger.tree_root set root = '\x01'"),
    "checkpoint root": ("checkpoints", "update ledger.checkpoints set state_root = sha256('x') where height = 10"),
    "checkpoint digest": ("checkpoints", "update ledger.checkpoints set digest = sha256('x') where height = 10"),
    "checkpoint previous": ("checkpoints", "update ledger.checkpoints set previous = sha256('x') where height = 10"),
    "checkpoint time": ("checkpoints", "update ledger.checkpoints set time_ms = 1 where height = 10"),
    "checkpoint heads": ("checkpoints", "update ledger.checkpoints set heads = '[{}]' where height = 10"),
    "checkpoint removed": ("checkpoints", "delete from ledger.checkpoints where height = 10"),
    "newest checkpoint removed": ("tree_root", "delete from ledger.checkpoints where height = 20"),
    "cursor height": ("cursor", "update ledger.cursor set height = height - 1"),
    "cursor digest": ("cursor", "update ledger.cursor set block_digest = sha256('x')"),
    "cursor genesis": ("cursor", "update ledger.cursor set genesis_digest = sha256('x')"),
    "cursor heads": ("cursor", "update ledger.cursor set heads = '[]'"),
    "certificate of nothing": ("certificates", r"insert into ledger.certificates values (11, '\x00')"),
}


@pytest.mark.parametrize("until", [20, 22])
def test_whatever_is_altered_by_hand_is_named(
    chain: Chain, pool: VerdictPool, new_database: Callable[[], str], until: int
) -> None:
    url = new_database()
    execute(chain, url, pool, until)
    silent = []
    for name, (table, statement) in ALTERED.items():
        with connect(url) as connection:
            connection.execute("create schema kept")
            tables = [row[0] for row in connection.execute(_TABLES)]
            for one in tables:
                connection.execute(f"create table kept.{one} as table ledger.{one}")
            changed = connection.execute(_with_row(statement)).rowcount
            assert changed > 0 or until > 20, name
        _, findings = audit(chain, url)
        if changed and not any(finding.where.startswith(table) for finding in findings.kept):
            silent.append((name, findings.kept))
        with connect(url) as connection:
            for one in tables:
                connection.execute(f"delete from ledger.{one}")
                connection.execute(f"insert into ledger.{one} select * from kept.{one}")
            connection.execute("drop schema kept cascade")
    assert silent == []
    assert audit(chain, url)[1].kept == []


_TABLES = """select unnest(array['cursor', 'objects', 'object_types', 'object_writers', 'object_contents',
    'balances', 'assets', 'expiry_buckets', 'remembered',
    'tree_nodes', 'tree_leaves', 'tree_stale', 'tree_root', 'checkpoints', 'certificates'])"""
_FIRST_UNCHANGED = {
    "objects": r"'\x01'::bytea || id",
    "assets": r"'\x03'::bytea || id",
    "expiry_buckets": r"'\x04'::bytea || int8send(bucket)",
}


def _with_row(statement: str) -> str:
    """With `@table` replaced by a query of a row that has not changed since the checkpoint."""
    for table, key in _FIRST_UNCHANGED.items():
        row = f"select ctid from ledger.{table} where {key} not in (select key from ledger.changed_keys) limit 1"
        statement = statement.replace(f"@{table}", row)
    balance = (
        "select ctid from ledger.balances where (asset, address) not in"
        " (select asset, address from ledger.changed_balances) limit 1"
    )
    return statement.replace("@balances", balance).replace("@remembered", "select ctid from ledger.remembered limit 1")
