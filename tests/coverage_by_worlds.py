"""Which branches of consensus and of the intake worlds go through: `python -m tests.coverage_by_worlds`.

The worlds are those that `make simulate` runs for the same seeds; seed 698 begins with 10,000 blocks. Each process
measures from before the first import of what is measured. What no world went through is printed, but for what
docs/byzantine-testing.md lists with its reason.

Exit code 1: a smaller share than `--at-least` of the branches was taken, or of the lines run, or a world was violated.
"""

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parent.parent
ROOMS: Final = ("consensus",)
LEFT_OUT: Final = ("consensus/runtime/journal_file.py",)
"""Files on a real disk: tested in tests/contract and tests/unit."""
FILES: Final = tuple(f"backbone/intake/{name}.py" for name in ("intake", "partition", "probe", "retained_records"))
SIZES: Final = (4, 4, 4, 7, 10)
AT_LEAST: Final = 0.95
LIST: Final = ROOT / "docs" / "byzantine-testing.md"
_ROW: Final = re.compile(r"^\| `([a-z_]+/[a-z_/]+\.py)` \| (.+?) \| .+ \|$", re.MULTILINE)
_CHUNK: Final = 20
"""Worlds of one process: enough that imports do not matter."""


def measured() -> list[str]:
    """The files that are measured, from the root of the project on."""
    found = [str(path.relative_to(ROOT)) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]
    return [*(name for name in found if name not in LEFT_OUT), *FILES]


def not_reached() -> dict[str, list[str]]:
    """By file, the lines that the page lists as such that no world goes through, or not beyond in each direction."""
    listed: dict[str, list[str]] = {}
    for file, lines in _ROW.findall(LIST.read_text()):
        listed.setdefault(file, []).extend(re.findall("`([^`]+)`", lines))
    return listed


@dataclass(frozen=True, slots=True)
class Covered:
    """How much of one file worlds went through."""

    file: str
    lines: int
    lines_run: int
    branches: int
    branches_taken: int
    missing: dict[int, tuple[int, ...]]
    """By line: where it never went on to; empty: the line was never run."""


def measure(worlds: Sequence[tuple[int, int, str]], data_file: str) -> list[str]:
    """Run worlds (seed, validators, kind) and note in a data file of its own which lines and branches were taken.

    Returns the commands of worlds that were violated.
    """
    import coverage

    meter = coverage.Coverage(
        data_file=data_file,
        data_suffix=True,
        branch=True,
        concurrency=["greenlet", "thread"],
        include=[str(ROOT / name) for name in measured()],
        config_file=False,
    )
    meter.start()
    try:
        from simulation.runs import Plan, run

        verdicts = [run(Plan(seed, validators, kind=kind)) for seed, validators, kind in worlds]
    finally:
        meter.stop()
        meter.save()
    return [verdict.plan.command() for verdict in verdicts if verdict.violation is not None]


def measure_all(worlds: Sequence[tuple[int, int, str]], jobs: int) -> tuple[list[Covered], list[str]]:
    """What all of them went through together, and the commands of worlds that were violated.

    One process for a few worlds each: one that has imported production code before it measures counts no import.
    """
    import coverage

    with tempfile.TemporaryDirectory() as folder:
        data_file = str(Path(folder, "worlds"))
        chunks = [worlds[at : at + _CHUNK] for at in range(0, len(worlds), _CHUNK)]
        violated: list[str] = []
        with ProcessPoolExecutor(jobs, get_context("spawn"), max_tasks_per_child=1) as pool:
            for number, found in enumerate(pool.map(measure, chunks, [data_file] * len(chunks)), start=1):
                violated += found
                print(f"{number} of {len(chunks)} parts", file=sys.stderr, flush=True)
        meter = coverage.Coverage(data_file=data_file, branch=True, config_file=False)
        meter.combine([folder])
        report = Path(folder, "report.json")
        meter.json_report([str(ROOT / name) for name in measured()], outfile=str(report))
        files: dict[str, Any] = json.loads(report.read_text())["files"]
        by_name = {str(Path(ROOT, name).relative_to(ROOT)): it for name, it in files.items()}
        return [_covered(name, by_name[name]) for name in measured()], violated


def _covered(name: str, found: dict[str, Any]) -> Covered:
    """What one file's part of coverage's report says."""
    summary = found["summary"]
    missing: dict[int, tuple[int, ...]] = dict.fromkeys(found["missing_lines"], ())
    for line, end in found["missing_branches"]:
        if line not in found["missing_lines"]:
            missing[line] = (*missing.get(line, ()), end)
    return Covered(
        name,
        summary["num_statements"],
        summary["covered_lines"],
        summary["num_branches"],
        summary["covered_branches"],
        dict(sorted(missing.items())),
    )


def _shown(covered: Iterable[Covered]) -> Iterator[str]:
    listed = not_reached()
    for it in covered:
        share = (it.branches_taken / it.branches) if it.branches else 1.0
        lines = f"lines {it.lines_run:4} of {it.lines:4}"
        yield f"{share:7.1%}  {it.branches_taken:4} of {it.branches:4}  {lines}  {it.file}"
        source = (ROOT / it.file).read_text().splitlines()
        for line, ends in it.missing.items():
            where = f" never on to {', '.join('the end' if end < 0 else str(end) for end in ends)}" if ends else ""
            if source[line - 1].strip() not in listed.get(it.file, ()):
                yield f"             {line:4}{where}: {source[line - 1].strip()}"


def _numbers(text: str) -> list[int]:
    ranges = [part.partition("..") for part in text.split(",")]
    return [number for first, _, last in ranges for number in range(int(first), int(last or first) + 1)]


def main() -> int:
    """Measure, print, and say whether it is enough."""
    parser = argparse.ArgumentParser(prog="python -m tests.coverage_by_worlds")
    parser.add_argument("--seeds", type=_numbers, default="0..299,698", help="A..B, both included, by commas")
    parser.add_argument("--kind", default="any", help="of worlds: turns, threads, or any")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--at-least", type=float, default=AT_LEAST, help="the share below which it fails")
    given = parser.parse_args()
    worlds = [(seed, SIZES[seed % len(SIZES)], given.kind) for seed in given.seeds]
    covered, violated = measure_all(worlds, given.jobs)
    for line in (*_shown(covered), *violated):
        print(line)
    branches, taken = sum(it.branches for it in covered), sum(it.branches_taken for it in covered)
    lines, run = sum(it.lines for it in covered), sum(it.lines_run for it in covered)
    print(f"{len(worlds)} worlds: {taken / branches:.1%} of {branches} branches, {run / lines:.1%} of {lines} lines")
    return int(taken / branches < given.at_least or run / lines < given.at_least or bool(violated))


if __name__ == "__main__":
    sys.exit(main())
