"""`momus simulate`: worlds of validators in virtual time; a failure comes with the command that replays it."""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated, Final

import typer

from cli.output import Failure, note, progress, results, write_file
from cli.typed import typed
from node.home import exits
from simulation.adversaries.kinds import ADVERSARIES
from simulation.checkers import CHECKERS
from simulation.mutants import MUTANTS
from simulation.parts.faults import FAULTS
from simulation.parts.mishaps import Mishap
from simulation.report import shown_fork, summarise
from simulation.runs import ANY, KINDS, Plan, Verdict, kill_all, run, run_all
from simulation.threads.ports import PORT_FAULTS

NONE: Final = "none"
NIGHTLY: Final = range(1_000_000, 1_100_000)
SIZES: Final = (4, 4, 4, 7, 10)
"""How many validators the worlds of consecutive seeds have, where many are run to find something."""
SHOWN: Final = (
    "seeds",
    "threaded",
    "violated",
    "seconds",
    "views",
    "blocks",
    "messages",
    "faults",
    "virtual_hours_per_hour",
)


def command(
    seeds: Annotated[str, typer.Option(help="A..B, both included; or one seed.")] = "0..99",
    validators: Annotated[
        str, typer.Option(help="How many; several numbers, by commas, are taken in turn, seed by seed.")
    ] = "4",
    byzantine: Annotated[
        int | None,
        typer.Option(min=0, help="Adversaries in each world; a third or more: show forks. Default: the seed says."),
    ] = None,
    adversary: Annotated[str, typer.Option(help=f"Kinds, by commas, or any: {', '.join(ADVERSARIES)}.")] = ANY,
    faults: Annotated[
        str,
        typer.Option(
            help=f"By commas, or any, or none: {', '.join([*FAULTS, *PORT_FAULTS, *(m.value for m in Mishap)])}."
        ),
    ] = ANY,
    mutant: Annotated[str | None, typer.Option(help="Plant this bug first.")] = None,
    checker: Annotated[str | None, typer.Option(help=f"Watch with one only: {', '.join(CHECKERS)}.")] = None,
    kind: Annotated[
        str, typer.Option(help=f"Of worlds: {', '.join(KINDS)}, or any: every third seed's is threaded.")
    ] = ANY,
    blocks: Annotated[
        int | None,
        typer.Option(min=0, help="Blocks that are final when each world begins. Default: the seed says."),
    ] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes; default: one a core.")] = None,
    trace: Annotated[bool, typer.Option("--trace", help="One line per validator and event.")] = False,
    mutants: Annotated[bool, typer.Option("--mutants", help="Plant every known bug, until it is found.")] = False,
    nightly: Annotated[bool, typer.Option("--nightly", help="100,000 seeds of 4, 7 and 10 validators.")] = False,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write totals and violations there.")] = None,
) -> None:
    """Run the node's consensus against faults and adversaries, in worlds of virtual time.

    Exit code 1: something was violated, or a planted bug was not found.
    """
    if mutants:
        _kill_all(jobs)
        return
    sizes = SIZES if nightly else _sizes(validators)
    numbers = NIGHTLY if nightly else _seeds(seeds)
    _check(adversary, [*ADVERSARIES], "adversary")
    _check(faults, [NONE, *FAULTS, *PORT_FAULTS, *(mishap.value for mishap in Mishap)], "fault")
    _check(mutant or ANY, [known.name for known in MUTANTS], "planted bug")
    _check(checker or ANY, [*CHECKERS], "checker")
    _check(kind, [*KINDS], "kind")
    plans = [
        Plan(seed, sizes[seed % len(sizes)], byzantine, adversary, faults, mutant, checker, kind, blocks)
        for seed in numbers
    ]
    started = perf_counter()
    verdicts: list[Verdict] = []
    try:
        for verdict in (run(plan, print) for plan in plans) if trace else _watched(plans, jobs):
            verdicts.append(_shown(verdict))
    except KeyboardInterrupt:
        note(f"Interrupted after {len(verdicts)} of {len(plans)} worlds.")
    summary = summarise(verdicts, perf_counter() - started)
    if json_file is not None:
        write_file(json_file, json.dumps(summary, indent=2).encode() + b"\n", "--json")
    results.print(", ".join(f"{name.replace('_', ' ')} {summary[name]}" for name in SHOWN), markup=False)
    if summary["violated"] or len(verdicts) < len(plans):
        raise typer.Exit(exits.FAILED)


def _watched(plans: Sequence[Plan], jobs: int | None) -> Iterator[Verdict]:
    """The verdicts of all, as they come, and a bar that says how far it is."""
    violated = 0
    with progress(is_hidden=False) as bar:
        task = bar.add_task("worlds", total=len(plans), note="")
        for verdict in run_all(plans, jobs):
            yield verdict
            violated += verdict.violation is not None
            bar.update(task, advance=1, note=f"{violated} violated" if violated else "")


def _shown(verdict: Verdict) -> Verdict:
    plan, fork = verdict.plan, verdict.fork
    if verdict.violation is not None:
        with_whom = f" (with {', '.join(verdict.adversaries)})" if verdict.adversaries else ""
        results.print(
            f"seed {plan.seed}: {verdict.violation}{with_whom}\n  replay: {typed(*plan.words())}", markup=False
        )
    elif fork is not None and not plan.is_plain:
        facts = shown_fork(fork)
        results.print(f"seed {plan.seed}: fork at height {fork.height}, made by {facts['culprits']}", markup=False)
    return verdict


def _kill_all(jobs: int | None) -> None:
    """How many worlds each planted bug lived through, and what gave it away."""
    living = 0
    for kill in kill_all(jobs):
        living += kill.worlds is None
        worlds = "ALIVE" if kill.worlds is None else str(kill.worlds)
        results.print(f"{worlds:>5}  {kill.mutant}: {kill.violation[:100]}", markup=False)
    results.print(f"{len(MUTANTS)} planted bugs, {living} not found", markup=False)
    if living:
        raise typer.Exit(exits.FAILED)


def _seeds(text: str) -> range:
    found = re.fullmatch(r"(\d{1,18})(?:\.\.(\d{1,18}))?", text)
    if found is None or int(found[2] or found[1]) < int(found[1]):
        raise Failure(exits.USAGE, f"--seeds {text}: give one seed, or A..B with A no larger than B.")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _sizes(text: str) -> list[int]:
    if re.fullmatch(r"\d{1,2}(,\d{1,2})*", text) is None or min(map(int, text.split(","))) < 1:
        raise Failure(exits.USAGE, f"--validators {text}: give numbers from 1 to 99, by commas.")
    return [int(number) for number in text.split(",")]


def _check(text: str, known: Iterable[str], what: str) -> None:
    names = list(known)
    unknown = [name for name in text.split(",") if name not in names]
    if text != ANY and unknown:
        raise Failure(exits.USAGE, f"There is no {what} {unknown[0]!r}. There are: {', '.join(names)}.")
