"""What a bench has measured is kept, whatever ends it: in its file as it comes, with the failure beside it."""

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NoReturn

import pytest

from cli import simulate
from cli.main import run_line
from client import NotFinal
from lab.bench import checkpoints, committee
from lab.bench.ceilings import Ceilings
from lab.bench.committee_figures import CommitteeThroughput, Idle, Views
from lab.bench.figures import Finality, Throughput
from lab.bench.load import Maker
from lab.bench.run import Bench
from lab.bench.watch import BenchFailed
from lab.demo.latency import Latency
from lab.demo.local_node import LocalNode, NodeFailed
from node.home import exits
from node.home.layout import Home
from node.home.status import is_running
from simulation.runs import Verdict
from tests import builders

MEASURED: Final = Latency(1, 20.0, 30.0)


def raising(error: BaseException) -> Callable[..., NoReturn]:
    def fail(*_: object) -> NoReturn:
        raise error

    return fail


def terminated(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGTERM)


ENDS: Final[dict[str, tuple[Callable[..., object], str]]] = {
    "a part failed": (raising(BenchFailed("the log did not answer")), "the log did not answer"),
    "a node failed": (raising(NodeFailed("it did not come up")), "it did not come up"),
    "nothing became final": (raising(NotFinal("nothing after 300 s")), "nothing after 300 s"),
    "the disk is full": (raising(OSError(28, "No space left on device")), "[Errno 28] No space left on device"),
    "Ctrl-C": (raising(KeyboardInterrupt()), "KeyboardInterrupt"),
    "SIGTERM": (terminated, "KeyboardInterrupt"),
}


def bench(*options: str) -> int:
    """The exit code of the command; that of Python where it does not return."""
    try:
        return run_line(["bench", *options])
    except KeyboardInterrupt:
        return exits.FAILED


def sign_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Loads are counted only."""
    for name in ("single", "batched"):
        monkeypatch.setattr(Maker, name, lambda self, count, *_: SimpleNamespace(transfers=count))


def told(file: Path) -> dict[str, Any]:
    """What the file of figures holds; nothing where there is none."""
    found: dict[str, Any] = json.loads(file.read_bytes()) if file.exists() else {}
    return found


@pytest.mark.parametrize("end", ENDS)
def test_figures_of_one_node_survive_what_ends_the_bench(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    last, why = ENDS[end]
    seen: list[dict[str, Any]] = []

    def fail(*_: object) -> None:
        seen.append(told(file))
        last()

    monkeypatch.setattr(Bench, "_ceilings", lambda self: Ceilings(2, 10_000.0, 1e6, 1e5))
    monkeypatch.setattr(Bench, "_verifying_again", lambda self, measured: measured)
    monkeypatch.setattr(Bench, "_throughput", lambda self, on, _, name, make: Throughput(on, name, 1, 5.0, 9.0, True))
    monkeypatch.setattr(Bench, "_finality", fail)
    code = bench("--json", str(file), "--scratch", str(tmp_path / "scratch"))
    assert [load["per_s"] for load in told(file).get("throughput", [])] == [5.0] * 3
    assert (code, told(file)["failed"]) == (exits.FAILED, why)
    assert len(seen[0]["throughput"]) == 3
    assert seen[0]["failed"]
    assert "batched, 10,000 accounts" in capsys.readouterr().out


@pytest.mark.parametrize("end", ENDS)
def test_figures_of_a_committee_survive_what_ends_the_bench(
    end: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    client = SimpleNamespace(submit_all=lambda transactions: [], wait=lambda submissions, timeout_s: None)
    home = SimpleNamespace(genesis=lambda: builders.genesis(4))

    @contextmanager
    def running(homes: object) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(homes=[home], client=client, databases=[], log=None, watch=None, committee=None)

    steps: dict[str, Callable[..., object]] = {
        "_settled": lambda self, submissions: None,
        "_finality": lambda self: (Finality("embedded", 100, MEASURED, MEASURED), Views(4.0, MEASURED)),
        "_idle": lambda self: Idle(60.0, 1, MEASURED),
        "_throughput": lambda self, name, load: CommitteeThroughput(name, 1, 7.0, 6.0),
        "succession": ENDS[end][0],
    }
    monkeypatch.setattr(committee, "make_chain", lambda *_: [home])
    monkeypatch.setattr(committee, "running", running)
    sign_nothing(monkeypatch)
    for name, step in steps.items():
        monkeypatch.setattr(committee.Run, name, step)
    options = ("--validators", "4", "--quick", "--json", str(file), "--scratch", str(tmp_path / "scratch"))
    code = bench(*options)
    (found,) = told(file).get("logs", [{}])
    assert found.get("finality_ms", {}).get("p50") == 20.0
    assert [load["final_per_s"] for load in found["throughput"]] == [7.0, 7.0]
    assert found["idle"]["wake_ms"]["p50"] == 20.0
    assert "dead_leader_ms" not in found
    assert (code, told(file)["failed"]) == (exits.FAILED, ENDS[end][1])
    assert "batched, 10,000 accounts" in capsys.readouterr().out


def test_rounds_with_checkpoints_survive_what_ends_the_bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, took = tmp_path / "figures.json", iter([2.0, 3.0])
    monkeypatch.setattr(checkpoints, "make_chain", lambda *_: [SimpleNamespace(genesis=lambda: builders.genesis(1))])
    monkeypatch.setattr(checkpoints, "seconds_of", lambda home, load: next(took, None) or raising(BenchFailed("x"))())
    monkeypatch.setattr(checkpoints, "_made", lambda home: (1, 100))
    sign_nothing(monkeypatch)
    assert bench("--checkpoints", "--quick", "--json", str(file), "--scratch", str(tmp_path / "s")) == exits.FAILED
    assert [load["with_s"] for load in told(file).get("loads", [])] == [[3.0]]
    assert told(file)["failed"] == "x"


def test_figures_that_are_all_there_say_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.json"
    monkeypatch.setattr(Bench, "run", lambda self: self.figures)
    assert bench("--json", str(file), "--scratch", str(tmp_path / "scratch")) == exits.OK
    assert told(file)["failed"] is None


def test_worlds_that_were_seen_are_summed_up_when_the_simulator_is_interrupted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def some(plans: list[Any], jobs: int | None) -> Iterator[Verdict]:
        yield Verdict(plans[0], None, (), 3, 5, 1_000)
        terminated()

    monkeypatch.setattr(simulate, "run_all", some)
    file = tmp_path / "summary.json"
    assert run_line(["simulate", "--seeds", "0..9", "--json", str(file)]) == exits.FAILED
    assert (told(file)["seeds"], told(file)["blocks"]) == (1, 5)


STARTS_A_NODE = """
import sys, time
from pathlib import Path
from lab.demo.local_node import LocalNode
sys.executable = sys.argv[2]
node = LocalNode(Path(sys.argv[1]))
node.launch()
print(node._process.pid, flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_node_ends_when_who_started_it_is_gone(number: int, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.make_folders()
    waits = "import signal, sys; signal.signal(signal.SIGTERM, lambda *_: sys.exit(0)); signal.pause()"
    (tmp_path / "waits").write_text(f"#!/bin/sh\nexec {sys.executable} -S -c '{waits}'\n")
    (tmp_path / "waits").chmod(0o755)
    argv = [sys.executable, "-c", STARTS_A_NODE, str(home.path), str(tmp_path / "waits")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        starter.send_signal(number)
    descriptor = os.pidfd_open(pid) if is_running(pid) else None
    if descriptor is not None:
        ended = select.select([descriptor], [], [], 30)[0]
        os.close(descriptor)
        assert ended


def test_a_node_that_is_aborted_takes_its_postgres_along(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    killed: list[str] = []
    node = LocalNode(tmp_path)
    monkeypatch.setattr(node, "kill_9", lambda process: killed.append(process))
    node.abort()
    assert killed == ["postgres"]
