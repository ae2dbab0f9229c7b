"""Above a third: the kit shows forks, and the records of the topics alone name who made them."""

from collections.abc import Iterable

import pytest

from consensus.wire.fork_evidence import culprits
from consensus.wire.messages import Proposal, Statement, Vote
from ledger.committee import Committees
from simulation.forks import DividedWorld, ForkReport
from simulation.runs import Plan, Verdict, run, world_of

SEEDS = range(12)
"""Of these worlds all forks are looked at, up to what is enough."""
ENOUGH = 3


def forks(
    validators: int, byzantine: int, adversary: str, faults: str, seeds: Iterable[int] = SEEDS, enough: int = ENOUGH
) -> list[ForkReport]:
    """The first forks; no world on the way to them may be violated."""
    found: list[ForkReport] = []
    for seed in seeds:
        verdict = run(Plan(seed, validators, byzantine, adversary, faults))
        assert verdict.violation is None, verdict.plan.command()
        found += [] if verdict.fork is None else [verdict.fork]
        if len(found) == enough:
            break
    return found


def kinds(fork: ForkReport) -> set[frozenset[str]]:
    return {frozenset(map(kind, pair)) for pair in fork.culprits.values()}


def kind(statement: Statement) -> str:
    return statement.kind.name if isinstance(statement, Vote) else "PROPOSE"


@pytest.mark.parametrize(
    ("adversary", "validators", "byzantine"),
    [
        *(("accomplice", 4, 2), ("accomplice", 7, 3), ("accomplice", 10, 4)),
        *(("twins", 4, 2), ("twins", 8, 4), ("twins", 10, 4)),
    ],
)
def test_fork_is_shown_and_its_culprits_are_named(adversary: str, validators: int, byzantine: int) -> None:
    found = forks(validators, byzantine, adversary, "none")
    assert found
    for fork in found:
        assert set(fork.culprits) <= set(range(validators - byzantine, validators))
        assert 3 * len(fork.culprits) > validators


def test_culprits_are_named_among_lost_records_crashes_and_wrong_clocks() -> None:
    found = [
        *forks(4, 2, "twins", "any", (0, 15, 27, 31), enough=4),
        *forks(4, 2, "accomplice,nullify-and-finalize,twins", "any", (0, 14, 23), enough=3),
    ]
    assert len(found) >= 5
    pairs = set().union(*map(kinds, found))
    assert {frozenset({"NULLIFY", "FINALIZE"}), frozenset({"NOTARIZE"})} <= pairs


def test_both_messages_of_a_culprit_are_of_one_view_and_different() -> None:
    for fork in forks(4, 2, "twins", "none"):
        for first, second in fork.culprits.values():
            assert first.view == second.view
            assert first != second


def test_nobody_is_named_where_nobody_lies() -> None:
    world = world_of(Plan(3, 4, 2, "slow-leader", "crash,lose,miss"))
    assert isinstance(world, DividedWorld)
    world.run()
    assert world.fork() is None


def test_fewer_than_a_third_make_no_fork() -> None:
    verdicts: list[Verdict] = [run(Plan(seed, 4, 1, "twins")) for seed in range(4)]
    assert [(verdict.violation, verdict.fork) for verdict in verdicts] == [(None, None)] * 4


def test_proposals_of_one_view_name_their_leader() -> None:
    world = world_of(Plan(1, 4, 2, "equivocator", "none"))
    world.run()
    named = culprits(world.genesis, Committees.of(world.genesis), world.log.all_values())
    assert set(named) == {(0, 2), (0, 3)}
    assert all(isinstance(pair[0], Proposal | Vote) for pair in named.values())
