"""`momus run` and the commands beside it, on one node of real processes."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from cli.main import run_line
from lab.demo.local_node import LocalNode
from node.embedded.broker import free_ports
from node.home.layout import Home
from node.home.status import is_running
from node.metrics.catalogue import METRICS
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
YOU = "ab" * 32
METRICS_PORT, API_PORT = free_ports(2)
DASHBOARDS = Path(__file__).parents[2] / "deploy" / "grafana" / "dashboards"


@dataclass
class Node:
    """A running node with the key of `init --dev`, and the command line on it."""

    path: Path
    process: LocalNode
    capsys: pytest.CaptureFixture[str]

    def run(self, *arguments: str, code: int = 0) -> Any:
        assert run_line([*arguments, "--home", str(self.path), "--json"]) == code, self.capsys.readouterr()
        told = self.capsys.readouterr()
        return json.loads(told.out) if told.out else told.err

    def balance(self, address: str) -> int:
        query = f"select coalesce(sum(amount), 0)::bigint from balances where address = '{address}'"
        return int(self.run("sql", query)["rows"][0][0])


@pytest.fixture(scope="module")
def running() -> Iterator[tuple[Path, LocalNode]]:
    """One node for all tests here; each uses what the others leave alone."""
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        assert run_line(["init", "--home", str(home), "--dev"]) == 0
        assert run_line(["effects", "create", "--home", str(home)]) == 0
        environment = {
            "MOMUS_METRICS__PORT": str(METRICS_PORT),
            "MOMUS_API__PORT": str(API_PORT),
            "MOMUS_EFFECTS__ENABLED": "true",
        }
        with LocalNode(home, environment) as process:
            yield home, process


@pytest.fixture
def node(running: tuple[Path, LocalNode], capsys: pytest.CaptureFixture[str]) -> Node:
    capsys.readouterr()
    return Node(*running, capsys)


def until(condition: Callable[[], bool], timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def test_funds_of_the_dev_key_execute_when_the_node_runs(node: Node) -> None:
    until(lambda: bool(node.run("sql", "select * from assets where name = 'dev' and supply = 1000000")["rows"]))
    node.run("submit", "transfer", "dev", "5", "--to", YOU)
    assert node.balance(YOU) == 5


def test_executed_transaction_is_told_of_and_found_again(node: Node) -> None:
    told = node.run("submit", "mint", "dev", "7", "--reference", "invoice 7")
    found = node.run("tx", told["digest"])
    assert (told["state"], found["state"], found["reference"]) == ("executed", "executed", "invoice 7")
    assert (found["height"], found["offset"]) == (told["height"], told["offset"])


def test_rejected_transaction_is_told_of_with_its_reason(node: Node) -> None:
    assert run_line(["submit", "burn", "dev", str(10**15), "--home", str(node.path)]) == 1
    told = node.capsys.readouterr().err
    assert "The signer's balance is smaller than the sum." in told
    digest = told.split("rejected ")[1].split()[0]
    found = node.run("tx", digest, code=1)
    assert (found["state"], found["reason"]) == ("rejected", "insufficient_balance")


def test_transaction_that_nobody_submitted_is_unknown(node: Node) -> None:
    assert node.run("tx", "00" * 32, code=1)["state"] == "unknown"


def test_commands_of_a_file_are_one_atomic_transaction(node: Node, tmp_path: Path) -> None:
    file = tmp_path / "commands.json"
    to = "cd" * 32
    file.write_text(
        json.dumps(
            [
                {"transfer": {"asset": "dev", "payments": [[to, 1], [to, 2]]}},
                {"create_object": {"type": "note", "content": '{"text": "hello"}'}},
            ]
        )
    )
    told = node.run("submit", "file", str(file))
    assert node.balance(to) == 3
    rows = node.run("sql", "select content_json->>'text' from objects where type = 'note'")["rows"]
    assert (told["state"], rows) == ("executed", [["hello"]])


def test_object_goes_through_its_life(node: Node) -> None:
    node.run("submit", "create-object", "ticket", '{"seat": 1}')
    query = "select object, version, ownership from object_history where type = 'ticket' order by version desc"
    ticket, _, _ = node.run("sql", query)["rows"][0]
    node.run("submit", "update-object", ticket, '{"seat": 2}', "--version", "1")
    stale = node.run("submit", "update-object", ticket, '{"seat": 3}', "--version", "1", code=1)
    node.run("submit", "transfer-object", ticket, "--version", "2", "--to", YOU)
    not_mine = node.run("submit", "freeze-object", ticket, "--version", "3", code=1)
    assert (stale["reason"], not_mine["reason"]) == ("stale_version", "not_the_owner")
    assert node.run("sql", query)["rows"][0] == [ticket, 3, "address"]


def test_status_shows_the_processes_and_how_far_they_are(node: Node) -> None:
    height = node.run("submit", "mint", "dev", "1")["height"]
    named = ("supervisor", "order", "execute", "postgres", "api", "effects")
    until(lambda: states(node) == dict.fromkeys(named, "running"))
    told = node.run("status")
    assert told["sql_height"] >= height
    assert sum(head["end_offset"] for head in told["heads"]) >= 2


def states(node: Node) -> dict[str, str]:
    return {name: process["state"] for name, process in node.run("status")["processes"].items()}


def test_every_declared_metric_is_exposed_and_no_other(node: Node) -> None:
    until(asked_of_the_api)
    declared = {metric.name: metric for metric in METRICS if metric.process != "peers"}
    until(lambda: declared.keys() == {name for name, family in scraped().items() if family.samples})
    for name, family in scraped().items():
        kinds = (family.type, declared[name].kind)
        assert kinds[0] == kinds[1]
        labels = {label for sample in family.samples for label in sample.labels} - {"le", "process"}
        assert labels == set(declared[name].labels) - {"process"}


def asked_of_the_api() -> bool:
    """So that it has something to count."""
    try:
        return httpx.get(f"http://127.0.0.1:{API_PORT}/v1/status").status_code == HTTPStatus.OK
    except httpx.TransportError:
        return False


def test_metrics_tell_what_the_node_did(node: Node) -> None:
    executed, rejected = ("executed", "none"), ("rejected", "insufficient_balance")
    before = [transactions(*result) for result in (executed, rejected)]
    height = node.run("submit", "mint", "dev", "1")["height"]
    node.run("submit", "burn", "dev", str(10**15), code=1)
    until(lambda: all(transactions(*result) > was for result, was in zip((executed, rejected), before, strict=True)))
    until(lambda: value("momus_consensus_height_blocks") >= height + 1)
    assert [value("momus_process_up", process=name) for name in ("order", "execute", "postgres")] == [1, 1, 1]
    assert sum(sample.value for sample in scraped()["momus_consensus_blocks_total"].samples) > 0


@pytest.mark.parametrize("dashboard", sorted(DASHBOARDS.glob("*.json")), ids=lambda path: path.stem)
def test_sql_of_every_panel_is_answered(node: Node, dashboard: Path) -> None:
    for panel in json.loads(dashboard.read_text())["panels"]:
        for target in panel["targets"]:
            if "rawSql" in target:
                node.run("sql", re.sub(r"\$__timeFilter\((\w+)\)", r"\1 <= now()", target["rawSql"]))


def scraped() -> dict[str, Metric]:
    """The metrics by name, as Prometheus' own parser reads them."""
    page = httpx.get(f"http://127.0.0.1:{METRICS_PORT}/metrics")
    assert page.status_code == 200
    return {
        family.name + ("_total" if family.type == "counter" else ""): family
        for family in text_string_to_metric_families(page.text)
    }


def value(name: str, **labels: str) -> float:
    """Of the only sample with these labels; 0 where there is none."""
    found = scraped().get(name)
    samples = [] if found is None else [s.value for s in found.samples if labels.items() <= s.labels.items()]
    assert len(samples) <= 1
    return samples[0] if samples else 0.0


def transactions(result: str, reason: str) -> float:
    return value("momus_execution_transactions_total", result=result, reason=reason)


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("create table x ()", "read-only"),
        ("delete from ledger.balances", "permission denied"),
        ("select 1; select 2", "multiple commands"),
        ("select", ""),
        ("select 1/0", "division by zero"),
    ],
)
def test_sql_reads_one_statement_and_only_reads(node: Node, query: str, why: str) -> None:
    code = run_line(["sql", query, "--home", str(node.path)])
    assert (code == 0) == (why == "")
    assert why in node.capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "code", "said"),
    [
        ("\\dv\n", 0, "object_history"),
        ("select count(*) > 0 as some from blocks;\nselect 'again';", 0, "again"),
        ("select current_user;", 0, "momus_reader"),
        ("create temp table x ();\nselect 'gone on';", 1, "read-only transaction"),
        ("select from ledger.balances;", 1, "permission denied"),
    ],
)
def test_sql_without_a_query_is_psql_that_only_reads(node: Node, typed: str, code: int, said: str) -> None:
    command = [sys.executable, "-m", "momus", "sql", "--home", str(node.path)]
    done = subprocess.run(command, input=typed, capture_output=True, text=True, timeout=WAIT_S)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    assert "gone on" not in done.stdout


@pytest.mark.parametrize("source", ["store", "log"])
def test_replay_from_either_source_equals_the_live_database(node: Node, source: str) -> None:
    told = node.run("replay", "--from", source, "--compare")
    assert (told["equal"], told["differences"]) == (True, [])
    assert told["height"] == node.run("status")["final_height"]


def test_live_database_is_not_replaced_while_the_node_runs(node: Node) -> None:
    assert run_line(["replay", "--into", "live", "--home", str(node.path)]) == 2
    assert "runs already" in node.capsys.readouterr().err
    assert node.run("sql", "select count(*) > 0 from blocks")["rows"] == [[True]]


@pytest.mark.parametrize("victim", ["order", "execute", "postgres"])
def test_killed_process_comes_back_and_goes_on(node: Node, victim: str) -> None:
    pid = node.process.kill_9(victim)
    node.process.wait_running([victim, "order", "execute"], WAIT_S, not_pid=pid)
    until(lambda: run_line(["submit", "mint", "dev", "1", "--home", str(node.path)]) == 0)
    assert not is_running(pid)
    if victim != "postgres":
        until(lambda: value("momus_process_starts_total", process=victim) > 1)


def test_second_node_in_the_same_home_does_not_start(node: Node) -> None:
    assert run_line(["run", "--home", str(node.path)]) == 2
    assert "runs already" in node.capsys.readouterr().err


def test_node_goes_down_with_its_supervisor_and_comes_up_again() -> None:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Home(Path(folder) / "home")
        assert run_line(["init", "--home", str(home.path), "--dev"]) == 0
        first = LocalNode(home.path)
        first.start()
        pids = [status.pid for name in ("order", "execute") if (status := first.status(name)) is not None]
        os.kill(_supervisor_pid(first), signal.SIGKILL)
        until(lambda: not any(map(is_running, pids)))
        first.abort()
        with LocalNode(home.path) as second:
            assert second.status("order") is not None
        assert second.stop() == 0
        said = [second.status(name) for name in ("order", "execute", "postgres")]
        assert [status.state for status in said if status is not None] == ["stopped"] * 3


def _supervisor_pid(node: LocalNode) -> int:
    status = node.status("supervisor")
    assert status is not None
    return status.pid
