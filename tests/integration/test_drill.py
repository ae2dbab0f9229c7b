"""`momus drill` beside a running node: what is rebuilt is certified and equal; every damage is named, and heals."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from cli.main import run_line
from client import Client
from lab.demo.local_node import LocalNode
from node.home.layout import Home
from node.recovery.damage import Injection
from node.recovery.drill_page import kept_drills
from node.wiring import database_url
from tests.command_here import momus
from tests.patience import WAIT_S
from tests.recovery.payments import Payments

pytestmark = [pytest.mark.postgres, pytest.mark.processes]


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    """A running node with some history, of which a checkpoint is certified, and a snapshot with blocks above it."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "home"
        assert run_line(["init", "--home", str(path), "--dev", "--checkpoint-ms", "1000"]) == 0
        with (path / "momus.toml").open("a") as settings:
            settings.write("\n[snapshots]\nevery_ms = 1\nkeep_count = 2\n")
        with LocalNode(path), Client.at_home(path) as client:
            payments = Payments(client.genesis, time.time_ns() // 1_000_000 + 50 * 60 * 1000)
            client.wait(client.submit_all(payments.opening()), WAIT_S)
            client.wait(client.submit_all([payments.payment(number) for number in range(200)]), WAIT_S)
            deadline = time.monotonic() + WAIT_S
            number = 200
            while not (number >= 400 and snapshots(path)):
                assert time.monotonic() < deadline, "no snapshot was made"
                client.wait([client.submit(payments.payment(number))], WAIT_S)
                number += 1
            yield path


def snapshots(home: Path) -> Any:
    return momus("snapshots", "--home", str(home), "--verify")["snapshots"]


def drill(home: Path, *options: str) -> Any:
    return momus("drill", "--home", str(home), *options)


def test_recovery_comes_to_the_certified_root_and_the_same_rows_and_is_kept(home: Path) -> None:
    report = drill(home)
    assert report["verdict"] == "passed", report
    assert report["is_root_certified"] is True
    assert (report["source"], report["differing"], report["detected"]) == ("snapshot", [], [])
    assert report["above"] in [snapshot["height"] for snapshot in snapshots(home)]
    assert report["rows_compared"] > 400
    kept = momus(
        "sql", "select verdict, height, report->>'source' from drills order by drill desc limit 1", "--home", str(home)
    )
    assert kept["rows"] == [["passed", report["height"], "snapshot"]]


@pytest.mark.parametrize("source", ["store", "log"])
def test_heavier_source_that_is_asked_for_comes_to_the_same(home: Path, source: str) -> None:
    report = drill(home, "--from", source)
    assert (report["verdict"], report["source"], report["above"]) == ("passed", source, 0), report
    assert report["rows_compared"] > 800


def test_drills_by_the_clock_are_kept_and_leave_a_page(home: Path) -> None:
    before = kept_drills(url_of(home))
    argv = [sys.executable, "-m", "momus", "process", "drills", "--home", str(home)]
    with subprocess.Popen(argv, env={**os.environ, "MOMUS_DRILLS__EVERY_MS": "1"}) as process:
        page = home / "drills.html"
        deadline = time.monotonic() + WAIT_S
        while not page.exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(WAIT_S) == 0
    kept = kept_drills(url_of(home))[len(before) :]
    assert {drill.verdict for drill in kept} == {"passed"}
    assert f"{kept[0].report['rows_compared']:,}" in page.read_text()


def url_of(home: Path) -> str:
    return database_url(Home(home), Home(home).settings({}))


NAMED = {
    Injection.TABLE: "schema is missing",
    Injection.ROW: "Table balances",
    Injection.TAIL: "Skipped store: the store ends at height",
    Injection.SEGMENT: "Skipped store: ",
    Injection.CHUNK: "Skipped snapshot of height ",
}


@pytest.mark.parametrize("injection", Injection)
def test_every_damage_is_named_and_heals(home: Path, injection: Injection) -> None:
    report = drill(home, "--inject", injection.value, "--seed", "7")
    assert report["verdict"] == "healed", report
    assert report["injected"]
    assert report["is_root_certified"] is True
    if injection in NAMED:
        assert NAMED[injection] in " ".join(report["detected"])
    sources = {Injection.TAIL: "log", Injection.SEGMENT: "log", Injection.CHUNK: "store"}
    assert report["source"] == sources.get(injection, "snapshot")
    assert not (home / "drill").exists()


def test_report_reads_well(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["drill", "--home", str(home), "--inject", "tail", "--seed", "1"]) == 0
    told = capsys.readouterr().out
    assert "Injected: " in told
    assert "Detected: Skipped store" in told
    assert told.rstrip().endswith("Verdict: healed.")
