"""`momus simulate`: what it prints, writes and returns."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks.processes import children
from cli.main import run_line
from simulation.runs import Plan, trace_digest
from tests.patience import WAIT_S


def test_worlds_of_several_sizes_are_summed_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "out.json"
    assert run_line(["simulate", "--seeds", "0..5", "--validators", "4,7", "--jobs", "1", "--json", str(file)]) == 0
    summary = json.loads(file.read_text())
    assert summary["seeds"] == 6
    assert summary["worlds_by_validators"] == {"4": 3, "7": 3}
    assert summary["violations"] == []
    assert summary["faults"] == sum(summary["faults_by_name"].values()) > 100
    assert max(map(int, summary["heals_by_views"])) <= 3
    shown = capsys.readouterr().out
    assert f"seeds 6, threaded 2, violated 0, seconds {summary['seconds']}" in shown
    assert f"virtual hours per hour {summary['virtual_hours_per_hour']}" in shown


def test_violation_is_printed_with_the_command_that_replays_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["simulate", "--seeds", "0", "--byzantine", "0", "--mutant", "a quorum of half", "--jobs", "1"]
    assert run_line(words) == 1
    first, replay, *_ = capsys.readouterr().out.splitlines()
    assert first.startswith("seed 0: v2 speaks in view 2")
    said, program, *again = shlex.split(replay)
    assert (said, Path(program).name) == ("replay:", "momus")
    assert again[:3] == ["simulate", "--seeds", "0..0"]
    assert run_line(again) == 1
    trace = capsys.readouterr().out.splitlines()
    assert first in trace
    assert any("boots in view 1" in line for line in trace)


def test_trace_has_one_line_per_validator_and_event(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["simulate", "--seeds", "4", "--byzantine", "0", "--faults", "none", "--trace"]) == 0
    *trace, _ = capsys.readouterr().out.splitlines()
    assert all(line[7:11] == " ms " and line[12] == "v" for line in trace)
    assert {line[12:14] for line in trace} == {"v0", "v1", "v2", "v3"}


def test_fork_above_a_third_names_its_culprits(capsys: pytest.CaptureFixture[str]) -> None:
    """In some of these worlds the two sides come to a fork; which ones, their chance says."""
    words = ["simulate", "--seeds", "0..5", "--byzantine", "2", "--adversary", "twins", "--faults", "none"]
    assert run_line(words) == 0
    shown = capsys.readouterr().out
    assert "fork at height" in shown
    assert "'v2': [" in shown
    assert "'v3': [" in shown


@pytest.mark.parametrize(
    "words",
    [
        ["--adversary", "nobody"],
        ["--faults", "crash,rain"],
        ["--seeds", "7..3"],
        ["--validators", "0"],
        ["--checker", "Mood"],
        ["--kind", "fibres"],
        ["--mutant", "a bug"],
    ],
)
def test_unknown_names_and_bad_numbers_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run_line(["simulate", *words]) == 2
    assert capsys.readouterr().err.startswith("momus: ")


def test_faults_by_name_strike_and_no_others() -> None:
    calm = trace_digest(Plan(5, byzantine=0, faults="none"))
    assert trace_digest(Plan(5, byzantine=0, faults="crash")) != calm
    assert trace_digest(Plan(5, byzantine=0, faults="none")) == calm


def test_its_workers_end_with_it_however_it_ends() -> None:
    jobs = os.cpu_count() or 1
    begun = subprocess.Popen([sys.executable, "-P", "-m", "momus", "simulate", "--seeds", "0..9999"])
    try:
        deadline = time.monotonic() + WAIT_S
        while len(workers := [pid for pid in children(begun.pid) if "spawn_main" in _line_of(pid)]) < jobs:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    finally:
        begun.kill()
        begun.wait()
    deadline = time.monotonic() + WAIT_S
    while any("spawn_main" in _line_of(pid) for pid in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _line_of(pid: int) -> str:
    """Empty where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""
