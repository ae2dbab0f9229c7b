"""Five hundred worlds of four validators, and some of seven: every fault, every adversary, no violation."""

import os
from collections import Counter

import pytest

from simulation.adversaries.kinds import ADVERSARIES
from simulation.runs import Plan, Verdict, run, run_all, trace_digest
from tests.fresh_python import in_fresh_python

SEEDS = 500
FAULTS = ["crashes at", "is cut off", "is split off with", "is paused", "has a lag of", "meets with a mishap:"]
PORT_STRIKES = ["is failed by", "hears nothing of", "waits long for", "is asked to end"]


@pytest.fixture(scope="module")
def verdicts() -> list[Verdict]:
    four = [Plan(seed) for seed in range(SEEDS)]
    seven = [Plan(seed, validators=7, byzantine=2) for seed in range(10)]
    return list(run_all([*four, *seven], jobs=min(2, os.cpu_count() or 1)))


def test_no_world_is_violated(verdicts: list[Verdict]) -> None:
    violated = [f"{verdict.violation}\n  replay: {verdict.plan.command()}" for verdict in verdicts if verdict.violation]
    assert not violated, "\n".join(violated)
    assert len(verdicts) == SEEDS + 10


def test_every_fault_strikes_often(verdicts: list[Verdict]) -> None:
    counts: Counter[str] = Counter()
    for verdict in verdicts:
        counts.update(verdict.counts)
    assert {fault: counts[fault] for fault in FAULTS if counts[fault] < 100} == {}
    assert counts["stores"] > 10_000


def test_a_third_runs_under_the_scheduler_and_every_fault_of_ports_strikes(verdicts: list[Verdict]) -> None:
    threaded = [verdict for verdict in verdicts if verdict.plan.is_threaded]
    assert 3 * len(threaded) >= SEEDS
    assert min(verdict.counts["switches"] for verdict in threaded) > 1_000
    struck = {fault: sum(verdict.counts.get(fault, 0) for verdict in threaded) for fault in PORT_STRIKES}
    assert {fault: count for fault, count in struck.items() if count < 100} == {}


def test_every_adversary_takes_part(verdicts: list[Verdict]) -> None:
    seen = {name for verdict in verdicts for name in verdict.adversaries}
    assert seen == set(ADVERSARIES)


def test_same_seed_gives_the_same_trace_in_another_process_with_another_hash_seed() -> None:
    code = "from simulation.runs import Plan, trace_digest; print(trace_digest(Plan({seed})))"
    assert [Plan(seed).is_threaded for seed in (1, 3, 6)] == [False, True, True]
    for seed in (1, 3, 6, 7):
        here = trace_digest(Plan(seed))
        assert trace_digest(Plan(seed)) == here
        assert in_fresh_python(code.format(seed=seed), hash_seed=seed) == here


def test_another_seed_gives_another_trace() -> None:
    assert len({trace_digest(Plan(seed)) for seed in range(4)}) == 4


def test_calm_world_makes_every_record_final_in_few_views() -> None:
    verdict = run(Plan(1, byzantine=0, faults="none"))
    assert verdict.violation is None
    assert verdict.height >= 30
    assert verdict.views <= verdict.height + 3


def test_failure_names_the_command_that_replays_it() -> None:
    plan = Plan(0, byzantine=0, mutant="a quorum of half")
    assert run(plan).violation is not None
    assert plan.command() == (
        "momus simulate --seeds 0..0 --validators 4 --byzantine 0 --mutant 'a quorum of half' --trace"
    )
