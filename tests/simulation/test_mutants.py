"""The checkers can fail: every planted bug is found within a bounded number of worlds."""

import os
from dataclasses import replace

import pytest

from backbone.store import StoredFinal
from consensus.core.core import Core
from consensus.wire.messages import Certificate, Kind
from ledger.header import Epoch, Header
from simulation.checkers import CHECKERS, Violation
from simulation.checkers.checker import Stored
from simulation.mutants import MUTANTS
from simulation.runs import Kill, Plan, kill_all, run
from simulation.world import World

FOUND_BY = {
    "Validity": "accepts any time",
    "Headers": "accepts another member as proposer",
    "Honesty": "forgets its votes at a restart",
    "Quorums": "leaves a view when its time is out",
    "Durability": "sends before it persists",
    "Certificates": "a quorum of half",
    "Availability": "delivers blocks whose records it does not hold",
    "Holders": "votes for records that it does not hold",
    "Lag": "votes while its executor lags",
    "Keeping": "drops what anybody contradicts",
    "Memory": "keeps the views that are over",
    "Rest": "keeps every block that it delivered",
    "NoFalseAlarm": "notarizes every proposal of a view",
    "CompleteEvidence": "accuses nobody",
    "Guilt": "convicts by the name that a vote bears",
    "RightHalts": "starts without a journal",
    "EqualState": "executes twice what it executed before",
    "Certification": "signs checkpoints before it persists",
    "Publication": "takes what is said to be a block for one",
    "Votes": "votes over the view right below",
    "Promises": "sets aside only what it drops",
    "Claims": "says no claim again after a start",
    "Answers": "answers whenever it is asked",
    "Fairness": "always begins with the first partition",
    "Turns": "takes all that waits in a turn",
    "Latency": "has one queue for all",
    "Queued": "bounds its queues in items alone",
    "Gauges": "says a height below its own",
    "CatchUp": "reads blocks again until all are stored",
    "Progress": "starts no timer",
}
"""A planted bug that this checker finds alone."""


@pytest.fixture(scope="module")
def kills() -> dict[str, Kill]:
    alone = {mutant: checker for checker, mutant in FOUND_BY.items()}
    return {kill.mutant: kill for kill in kill_all(jobs=min(2, os.cpu_count() or 1), checkers=alone)}


@pytest.mark.parametrize("mutant", [mutant.name for mutant in MUTANTS])
def test_planted_bug_is_found(mutant: str, kills: dict[str, Kill]) -> None:
    assert kills[mutant].worlds is not None


def test_votes_without_records_leave_too_few_holders_only_where_payload_is_withheld() -> None:
    bug = "votes for records that it does not hold"
    plans = [Plan(seed, faults="none", mutant=bug, checker="Holders") for seed in range(3)]
    withheld = [run(replace(plan, byzantine=1, adversary="payload-withholder")) for plan in plans]
    assert any("hold its records" in (verdict.violation or "") for verdict in withheld)
    assert not any(run(replace(plan, byzantine=0)).violation for plan in plans)


def test_fork_is_found() -> None:
    world = World(seed=1)
    first, second = world.validators[:2]
    for validator, time_ms in ((first, 1), (second, 2)):
        header = Header(1, Epoch(0), 1, 0, world.genesis.digest, 1, 0, time_ms, world.genesis.empty_heads())
        block = world.checkers.wire.block(header)
        validator.store.finals.append(StoredFinal(1, block.header_bytes, b""))
        stored = Stored(
            validator.store.finals[-1], block, Certificate(Kind.FINALIZE, Epoch(0), 1, block.digest, ()), ()
        )
        if validator is first:
            world.checkers.agreement.on_stored(validator, stored)
        else:
            with pytest.raises(Violation, match="fork"):
                world.checkers.agreement.on_stored(validator, stored)


def test_every_checker_is_shown_to_fail_alone() -> None:
    """Of its mutant it is the only one that watches (`kills`)."""
    assert {*FOUND_BY, "Agreement"} == set(CHECKERS)
    assert set(FOUND_BY.values()) <= {mutant.name for mutant in MUTANTS}
    assert len(MUTANTS) >= 60


def test_each_planted_bug_has_a_name_of_its_own() -> None:
    names = [mutant.name for mutant in MUTANTS]
    assert sorted(names) == sorted({*names})


def test_planted_bug_is_gone_afterwards() -> None:
    before = Core._on_notarization
    mutant = next(mutant for mutant in MUTANTS if mutant.name == "takes a notarization for finality")
    with mutant.planted():
        assert Core._on_notarization is not before
    assert Core._on_notarization is before
