"""`momus audit` of a node's home: a running node passes, and damage to database, store and journal is named."""

import itertools
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cli.main import run_line
from client import Client
from lab.demo.local_node import LocalNode
from node.home import exits
from node.home.layout import Home
from node.wiring import database_url
from node.wiring.databases import running_postgres
from projections.session.connect import connect
from tests.patience import WAIT_S
from tests.recovery.payments import Payments

pytestmark = [pytest.mark.postgres, pytest.mark.processes]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A node with some history that was audited while it ran, and is stopped now; its Postgres runs."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        assert run_line(["init", "--home", str(path), "--dev", "--checkpoint-ms", "500"]) == 0
        with LocalNode(path), Client.at_home(path) as client:
            payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
            client.wait(client.submit_all(payments.opening()), WAIT_S)
            client.wait(client.submit_all([payments.payment(number) for number in range(200)]), WAIT_S)
            pay_until_certified(path, client, payments)
            assert run_line(["audit", "--home", str(path)]) == exits.OK, "while the node runs"
        with running_postgres(Home(path), Home(path).settings({})):
            yield path


def pay_until_certified(home: Path, client: Client, payments: Payments) -> None:
    """Until two certificates are in the database: they come there some time after their checkpoints."""
    until = time.monotonic() + WAIT_S
    with connect(database_url(Home(home), Home(home).settings({}))) as connection:
        for number in itertools.count(200):
            if connection.execute("select from ledger.certificates").rowcount > 1:
                return
            assert time.monotonic() < until
            client.wait(client.submit_all([payments.payment(number)]), WAIT_S)
            time.sleep(0.2)


def audited(home: Path, capsys: pytest.CaptureFixture[str], *options: str) -> tuple[int, Any]:
    capsys.readouterr()
    code = run_line(["audit", "--home", str(home), "--json", *options])
    return code, json.loads(capsys.readouterr().out)


def found(report: Any, part: str) -> list[tuple[str, str]]:
    (findings,) = [it["findings"] for it in report["parts"] if it["name"] == part]
    return [(it["where"], it["what"]) for it in findings]


def test_clean_node_passes_in_every_part(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, report = audited(home, capsys)
    assert (code, report["ok"]) == (exits.OK, True)
    assert [part["name"] for part in report["parts"]] == ["checkpoints", "state", "store", "history"]
    assert audited(home, capsys, "--no-replay")[1]["parts"][-1]["name"] == "store"


HISTORY = {
    "transactions": "update ledger.transactions set item = item + 1 where (height, index) ="
    " (select height, index from ledger.transactions limit 1)",
    "transfers": "delete from ledger.transfers where (height, index) ="
    " (select height, index from ledger.transfers limit 1)",
    "blocks": "update ledger.blocks set records = records + 1 where height = (select max(height) from ledger.blocks)",
}


@pytest.mark.parametrize("table", HISTORY)
def test_altered_history_is_named_by_replay(home: Path, capsys: pytest.CaptureFixture[str], table: str) -> None:
    with connect(database_url(Home(home), Home(home).settings({}))) as connection:
        connection.execute(f"create table public.kept as table ledger.{table}")
        assert connection.execute(HISTORY[table]).rowcount == 1
        try:
            code, report = audited(home, capsys)
        finally:
            connection.execute(f"delete from ledger.{table}")
            connection.execute(f"insert into ledger.{table} select * from public.kept")
            connection.execute("drop table public.kept")
    assert code == exits.FAILED
    assert [where for where, _ in found(report, "history")] == [table]


def test_row_changed_by_hand_is_named_with_both_values(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with connect(database_url(Home(home), Home(home).settings({}))) as connection:
        row = connection.execute("select asset, address, amount from ledger.balances limit 1").fetchone()
        assert row is not None
        statement = "update ledger.balances set amount = %s where asset = %s and address = %s"
        connection.execute(statement, [row[2] + 1, row[0], row[1]])
        try:
            code, report = audited(home, capsys)
        finally:
            connection.execute(statement, [row[2], row[0], row[1]])
    assert code == exits.FAILED
    ((where, what),) = found(report, "history")
    assert where == "balances"
    assert f",{row[2] + 1})" in what
    assert f",{row[2]})" in what


CERTIFICATES = {
    "certificates": "update ledger.certificates set certificate = certificate || 'x' where height = (@oldest)",
    "stored certificates": "delete from ledger.certificates where height = (@oldest)",
}


@pytest.mark.parametrize("where", CERTIFICATES)
def test_altered_certificate_is_named(home: Path, capsys: pytest.CaptureFixture[str], where: str) -> None:
    with connect(database_url(Home(home), Home(home).settings({}))) as connection:
        kept = connection.execute("select * from ledger.certificates order by height limit 1").fetchone()
        statement = CERTIFICATES[where].replace("@oldest", "select min(height) from ledger.certificates")
        assert connection.execute(statement).rowcount == 1
        try:
            code, report = audited(home, capsys, "--no-replay")
        finally:
            assert kept is not None
            connection.execute("delete from ledger.certificates where height = %s", [kept[0]])
            connection.execute("insert into ledger.certificates values (%s, %s)", kept)
    assert code == exits.FAILED
    assert where in [it["where"] for part in report["parts"] for it in part["findings"]]


def flip(file: Path) -> None:
    """Flip a bit in the middle."""
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def largest(folder: Path) -> Path:
    return max((it for it in folder.rglob("*") if it.is_file()), key=lambda it: it.stat().st_size)


@pytest.mark.parametrize(
    ("folder", "where"), [("store/partition-00000", "partition 0"), ("store/final", "final blocks")]
)
def test_byte_flipped_in_the_store_is_named(
    home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path, folder: str, where: str
) -> None:
    file = largest(home / folder)
    shutil.copy(file, tmp_path / "kept")
    flip(file)
    try:
        code, report = audited(home, capsys, "--no-replay")
    finally:
        shutil.copy(tmp_path / "kept", file)
    assert code == exits.FAILED
    assert where in [at for at, _ in found(report, "store")]


def test_lost_journal_is_named(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Home(home).journal_file
    retained = file.rename(file.with_name("kept"))
    try:
        code, report = audited(home, capsys, "--no-replay")
    finally:
        retained.rename(file)
    assert code == exits.FAILED
    assert "journal" in [where for where, _ in found(report, "store")]


def test_report_reads_well(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run_line(["audit", "--home", str(home), "--no-replay"]) == exits.OK
    told = capsys.readouterr()
    assert told.out == "Nothing was tampered with.\n"
    assert "state: ok" in told.err
