"""`python -m simulation --seeds A..B`: many worlds on all cores; a failure comes with the command that replays it."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from simulation.checkers import CHECKERS
from simulation.mutants import MUTANTS
from simulation.runs import ANY, Plan, Verdict, kill_all, run, run_all


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 1 where a world was violated."""
    options = _parser().parse_args(arguments)
    if options.mutants:
        return _kill_all(options.jobs)
    plans = [
        Plan(seed, validators, options.byzantine, options.adversary, options.faults, options.mutant, options.checker)
        for validators in options.validators
        for seed in options.seeds
    ]
    started = perf_counter()
    if options.trace:
        verdicts = [_shown(run(plan, print)) for plan in plans]
    else:
        verdicts = _watched(run_all(plans, options.jobs), len(plans), started)
    summary = summarise(verdicts, perf_counter() - started)
    if options.json is not None:
        options.json.write_text(json.dumps(summary, indent=2) + "\n")
    print(", ".join(f"{name} {value}" for name, value in summary.items() if not isinstance(value, list | dict)))
    return 1 if summary["violations"] else 0


def summarise(verdicts: Sequence[Verdict], seconds: float) -> dict[str, object]:
    """Totals of a run, and every violation with the command that replays it."""
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.counts)
    virtual_s = sum(verdict.virtual_ms for verdict in verdicts) / 1000
    failed = [verdict for verdict in verdicts if verdict.violation is not None]
    return {
        "worlds": len(verdicts),
        "violated": len(failed),
        "seconds": round(seconds, 1),
        "virtual_hours": round(virtual_s / 3600, 1),
        "virtual_hours_an_hour": round(virtual_s / max(seconds, 0.001)),
        "views": sum(verdict.views for verdict in verdicts),
        "blocks": sum(verdict.height for verdict in verdicts),
        "counts": dict(sorted(counts.items())),
        "adversaries": dict(sorted(Counter(name for verdict in verdicts for name in verdict.adversaries).items())),
        "violations": [{**asdict(verdict), "replay": verdict.plan.command()} for verdict in failed],
    }


def _watched(verdicts: Iterable[Verdict], total: int, started: float) -> list[Verdict]:
    """All of them, with a line that says how far it is."""
    seen: list[Verdict] = []
    violated, shown_s = 0, started
    for verdict in verdicts:
        seen.append(_shown(verdict))
        violated += verdict.violation is not None
        now_s = perf_counter()
        if now_s - shown_s > 1 or len(seen) == total:
            shown_s = now_s
            rate = len(seen) / (now_s - started)
            print(f"\r{len(seen)}/{total} worlds, {violated} violated, {rate:.1f} a second ", end="", file=sys.stderr)
    print(file=sys.stderr)
    return seen


def _shown(verdict: Verdict) -> Verdict:
    if verdict.violation is not None:
        with_whom = f" (with {', '.join(verdict.adversaries)})" if verdict.adversaries else ""
        print(f"\nseed {verdict.plan.seed}: {verdict.violation}{with_whom}\n  replay: {verdict.plan.command()}")
    return verdict


def _kill_all(jobs: int | None) -> int:
    """Print how each mutant ended; 1 where one lives."""
    living = 0
    for kill in kill_all(jobs):
        living += kill.worlds is None
        worlds = "ALIVE" if kill.worlds is None else str(kill.worlds)
        print(f"{worlds:>5}  {kill.mutant}: {kill.violation[:100]}", flush=True)
    print(f"{living} mutants alive")
    return 1 if living else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=range(100), help="A..B, both included; or one seed")
    parser.add_argument("--validators", type=_numbers, default=[4], help="how many; or several numbers, by commas")
    parser.add_argument("--byzantine", type=int, help="how many adversaries; default: the seed says, up to a third")
    parser.add_argument("--adversary", default=ANY, help="of which kind they are")
    parser.add_argument("--mutant", choices=[mutant.name for mutant in MUTANTS], help="plant this bug first")
    parser.add_argument("--checker", choices=CHECKERS, help="hold the worlds to this one only")
    parser.add_argument("--mutants", action="store_true", help="plant every known bug in turn, until it is found")
    parser.add_argument("--faults", default=ANY, help="by commas; or none")
    parser.add_argument("--jobs", type=int, help="processes; default: one a core")
    parser.add_argument("--trace", action="store_true", help="one line per validator and event, in this process")
    parser.add_argument("--json", type=Path, help="write totals and violations there")
    return parser


def _seeds(text: str) -> range:
    first, _, last = text.partition("..")
    return range(int(first), int(last or first) + 1)


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
