"""`momus demo` from end to end, its outcome held against a program that imports nothing of ours."""

import csv
import json
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.oracle_berka import balances
from tests.patience import WAIT_S

ROWS = 600
KEYS = {
    "backbone",
    "validators",
    "submitted",
    "executed",
    "rejected",
    "height",
    "finality_ms",
    "views_nullified",
    "balances_equal",
    "databases_equal",
    "replay_equal",
    "replay_s",
}

pytestmark = pytest.mark.processes


@pytest.fixture
def scratch() -> Iterator[Path]:
    """Not below pytest's own folder, which is closed to the other user that Postgres runs as for root."""
    with TemporaryDirectory(prefix="momus-demo-", ignore_cleanup_errors=True) as folder:
        yield Path(folder) / "demo"


def _momus(*arguments: str) -> "subprocess.CompletedProcess[str]":
    argv = [sys.executable, "-m", "momus", *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=WAIT_S, check=False)


def _demo(scratch: Path, *options: str) -> dict[str, Any]:
    done = _momus("demo", "--rows", str(ROWS), "--scratch", str(scratch), "--json", "-", *options)
    assert done.returncode == 0, done.stderr
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def _balances_in_sql(scratch: Path, home: Path) -> dict[int, Decimal]:
    """Account number -> balance, asked with the command that the demo's summary shows; no row: zero."""
    with (scratch / "accounts.csv").open(newline="") as file:
        accounts = list(csv.DictReader(file, delimiter=";"))
    query = f"select address, decimal_amount::text from balances where asset = '{accounts[0]['asset']}'"
    done = _momus("sql", query, "--home", str(home), "--json", "--rows-max", "100000")
    assert done.returncode == 0, done.stderr
    held = {address: Decimal(amount) for address, amount in json.loads(done.stdout)["rows"]}
    return {int(row["account"]): held.get(row["address"], Decimal(0)) for row in accounts}


def _check(facts: dict[str, Any], scratch: Path, home: Path) -> None:
    assert facts.keys() >= KEYS
    assert facts["rejected"] == 0
    assert facts["submitted"] == facts["executed"] > ROWS
    assert facts["balances_equal"] is facts["databases_equal"] is facts["replay_equal"] is True
    assert 0 < facts["finality_ms"]["p50"] <= facts["finality_ms"]["p99"]
    assert _balances_in_sql(scratch, home) == balances(scratch / "statements.asc")


def test_every_balance_after_the_demo_is_what_the_statements_add_up_to(scratch: Path) -> None:
    facts = _demo(scratch)
    assert (facts["backbone"], facts["validators"], len(facts["kills"])) == ("embedded", 4, 3)
    for number in (1, 4):
        _check(facts, scratch, scratch / "validators" / f"validator-{number}")


@pytest.mark.kafka
def test_the_demo_on_kafka_starts_a_broker_where_none_is_given(scratch: Path) -> None:
    facts = _demo(scratch, "--backbone", "kafka", "--validators", "1")
    assert (facts["backbone"], facts["validators"], len(facts["kills"])) == ("kafka", 1, 2)
    _check(facts, scratch, scratch / "node")


def test_what_the_demo_leaves_is_cleaned_up_by_the_command_that_it_names(scratch: Path) -> None:
    scratch.mkdir()
    (scratch / ".made-by-momus").touch()
    assert _momus("demo", "--clean", "--scratch", str(scratch)).returncode == 0
    assert not scratch.exists()


def test_a_folder_of_somebody_else_is_left_alone(scratch: Path) -> None:
    scratch.mkdir()
    (scratch / "precious").touch()
    for option in ("--clean", "--rows=100"):
        done = _momus("demo", option, "--scratch", str(scratch))
        assert done.returncode == 1
        assert "was not made by a demo" in done.stderr
    assert (scratch / "precious").exists()


def test_statements_that_cannot_be_read_end_the_demo_with_the_line(scratch: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.asc"
    bad.write_text("not;a;statement\n")
    done = _momus("demo", "--input", str(bad), "--scratch", str(scratch))
    assert done.returncode == 1
    assert "line 1" in done.stderr
