"""Every table that consensus determines, with a row changed, removed and added by hand: the comparison with a replay
names the table and the row. And what the tables of changes say is not believed against the rows.
"""

from collections.abc import Callable

import pytest

from projections.audit.audit import audit_chain, audit_state
from projections.audit.findings import Findings
from projections.audit.fingerprint import ORDER
from projections.audit.history import compare_history
from projections.audit.rows import begin
from projections.session.connect import connect
from tests.snapshots import SmallChain, small_chain

pytestmark = pytest.mark.postgres

OTHER = {
    "cursor": (None, "height = height + 1"),
    "assets": ("id = sha256(id)", "supply = supply + 1"),
    "balances": ("address = sha256(address)", "amount = amount + 1"),
    "objects": ("id = sha256(id)", "version = version + 1"),
    "object_types": ("object = sha256(object)", "type = type || 'x'"),
    "object_writers": ("object = sha256(object)", "writer = sha256(writer)"),
    "object_contents": ("object = sha256(object)", "content = content || 'x'"),
    "remembered": ("digest = sha256(digest)", "height = height + 1"),
    "expiry_buckets": ("bucket = bucket + 1000", "count = count + 1"),
    "checkpoints": ("height = height + 1", "time_ms = time_ms + 1"),
    "blocks": ("height = height + 1000", "proposer = proposer + 1"),
    "transactions": ("index = index + 100000", "reference = reference || 'x'"),
    "rejections": ("index = index + 100000", "reason = reason + 1"),
    "transfers": ("index = index + 100000", "amount = amount + 1"),
    "object_versions": ("command = command + 1000", "deleted = NOT deleted"),
}
"""Of each table: what makes the key of a row another one, and what makes the row another one."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> SmallChain:
    return small_chain(tmp_path_factory.mktemp("chain"))


@pytest.fixture(scope="module")
def databases(chain: SmallChain, new_databases: Callable[[], str]) -> tuple[str, str]:
    """A live one and a replayed one."""
    live, replayed = new_databases(), new_databases()
    chain.execute(live)
    chain.execute(replayed)
    return live, replayed


def statements(table: str) -> list[str]:
    """A row changed, removed, added."""
    new_key, change = OTHER[table]
    row = f"({ORDER[table]}) = (select {ORDER[table]} from ledger.{table} limit 1)"
    found = [f"update ledger.{table} set {change} where {row}", f"delete from ledger.{table} where {row}"]
    if new_key is not None:
        copied = f"create temp table one on commit drop as select * from ledger.{table} limit 1"
        found.append(f"{copied}; update one set {new_key}; insert into ledger.{table} select * from one")
    return found


def test_no_table_is_forgotten() -> None:
    assert OTHER.keys() == ORDER.keys()


@pytest.mark.parametrize("table", ORDER)
def test_row_that_was_altered_in_any_way_is_named(databases: tuple[str, str], table: str) -> None:
    live, replayed = databases
    for statement in statements(table):
        findings = Findings()
        with connect(live) as mine, connect(replayed) as theirs, theirs.transaction():
            mine.execute("BEGIN")
            mine.execute(statement)
            compare_history(mine, theirs, 0, findings)
            mine.execute("ROLLBACK")
        assert {finding.where for finding in findings.kept} == {table}, statement
        assert len(findings.kept) <= 2, "one row, or what was in its place too where the whole row is its key"
        assert any(word in findings.kept[0].what for word in ("was changed", "is missing", "was added"))


@pytest.mark.parametrize("table", ["changed_balances", "changed_keys"])
def test_change_that_was_forgotten_by_hand_is_named_by_its_row(
    chain: SmallChain, databases: tuple[str, str], table: str
) -> None:
    """Else the next root would leave it out. A key too many is none: its value is read when the root is made."""
    with connect(databases[0]) as connection:
        kept = connection.execute(f"select * from ledger.{table}").fetchall()
        assert connection.execute(f"delete from ledger.{table}").rowcount > 0
    try:
        with connect(databases[0]) as connection, connection.transaction():
            findings = Findings()
            changed = begin(connection)
            _, newest = audit_chain(connection, chain.genesis, findings, lambda checkpoint: None)
            audit_state(connection, chain.genesis, newest, changed, False, findings)
    finally:
        put_back(databases[0], table, kept)
    assert {finding.where for finding in findings.kept} & {"balances", "objects", "assets", "expiry_buckets"}


def put_back(url: str, table: str, rows: list[tuple[bytes, ...]]) -> None:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.executemany(f"insert into ledger.{table} values ({', '.join(['%s'] * len(rows[0]))})", rows)
