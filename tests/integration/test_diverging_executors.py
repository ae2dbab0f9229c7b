"""An executor that errs: the next checkpoint shows it, to its own validator if it is alone, to all if it is half."""

from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import node.execution.pipeline as pipeline
from consensus.core.certifier import Action, Certifier, CheckpointFork, SayAgain, SignClaim
from consensus.wire.checkpoint_messages import CheckpointWire
from executor.execute import execute
from ingest.pool import VerdictPool
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.genesis import Genesis, parse_genesis
from node.execution.session import LogIdentity, Session
from projections.database import Database
from projections.maintenance.migrate import migrate
from tests.builders import genesis_bytes, validator_key
from tests.chain_builder import even_cuts, write_store
from tests.random_ledger import RandomLedger

pytestmark = pytest.mark.postgres
VALIDATORS = 4
BLOCKS = 24
ERRS_FROM = 12
Chain = tuple[Genesis, list[Checkpoint], list[Checkpoint]]


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory, new_databases: Callable[[], str]) -> Chain:
    """What an executor makes of a chain with a checkpoint every five heights, and one that errs from a height on."""
    genesis = parse_genesis(genesis_bytes(VALIDATORS, partitions=1, checkpoint_heights=5, checkpoint_time_ms=10**9))
    source = RandomLedger(genesis, seed=5)
    values: list[bytes | None] = [*source.opening(), *(source.draw() for _ in range(250))]
    store = tmp_path_factory.mktemp("chain") / "store"
    write_store(store, genesis, [values], even_cuts([len(values)], BLOCKS), step_ms=40_000)
    right = checkpoints(genesis, store, new_databases())
    with pytest.MonkeyPatch.context() as planted:
        planted.setattr(pipeline, "execute", erring)
        wrong = checkpoints(genesis, store, new_databases())
    return genesis, right, wrong


def checkpoints(genesis: Genesis, store: Path, url: str) -> list[Checkpoint]:
    migrate(url)
    limits = pipeline.PipelineLimits(job_records_max=20, flush_records_max=40)
    session = Session(genesis, LogIdentity("cluster", "topic-id"), store, url, limits)
    with closing(VerdictPool(1, genesis.digest, genesis.limits)) as pool, Database(url) as database:
        session.run(pool, lambda cursor, found: None, lambda: False, BLOCKS)
        return [stored.checkpoint for stored in database.newest_checkpoints(9)]


def erring(genesis: Genesis, state: Any, blocks: Any, verdicts: Any) -> Any:
    """Execute, and credit one unit too much to somebody."""
    effects = RIGHT(genesis, state, blocks, verdicts)
    if blocks[-1].block.header.height >= ERRS_FROM and len(effects.balances_updated):
        effects.balances_updated["amount"][0] += 1
    return effects


RIGHT = execute


class Committee:
    """Certifiers that hear each other at once."""

    def __init__(self, genesis: Genesis) -> None:
        self._wire = CheckpointWire(genesis, Committees.of(genesis))
        self.certifiers = [
            Certifier(self._wire, validator_key(it).public_key, 1_000, 500, None, None) for it in range(VALIDATORS)
        ]
        self.forks: dict[int, CheckpointFork] = {}

    def claim(self, by_validator: Iterable[Checkpoint]) -> None:
        """Each validator's executor has come to its checkpoint of the same height."""
        said: list[bytes] = []
        for index, checkpoint in enumerate(by_validator):
            said += self._carried_out(index, self.certifiers[index].on_claims([checkpoint], 0))
        for value in said:
            for index, certifier in enumerate(self.certifiers):
                self._carried_out(index, certifier.on_value(value, 0))

    def _carried_out(self, index: int, actions: Iterable[Action]) -> list[bytes]:
        """What is said; who has stopped says nothing."""
        said: list[bytes] = []
        for action in actions if index not in self.forks else ():
            match action:
                case SignClaim(statement):
                    signature = validator_key(index).sign(self._wire.signing_bytes(statement.claim))
                    signed = replace(statement, signature=signature)
                    said.append(self._wire.encode(signed))
                    self._carried_out(index, self.certifiers[index].on_signed(signed, 0))
                case CheckpointFork():
                    self.forks[index] = action
                case SayAgain(message):
                    said.append(self._wire.encode(message))
        return said


def test_error_shows_in_the_next_checkpoint_and_not_before(chain: Chain) -> None:
    _, right, wrong = chain
    assert [it.height for it in right] == [it.height for it in wrong] == [1, 5, 10, 15, 20]
    assert right[:3] == wrong[:3]
    assert all(a.state_root != b.state_root for a, b in zip(right[3:], wrong[3:], strict=True))


@pytest.mark.parametrize(("erring_ones", "stopped", "certified"), [(1, {3}, 20), (2, {0, 1, 2, 3}, 10)])
def test_who_errs_alone_stops_and_half_of_all_stop_everybody(
    chain: Chain, erring_ones: int, stopped: set[int], certified: int
) -> None:
    genesis, right, wrong = chain
    committee = Committee(genesis)
    for good, bad in zip(right, wrong, strict=True):
        committee.claim([good] * (VALIDATORS - erring_ones) + [bad] * erring_ones)
    assert committee.forks.keys() == stopped
    assert {fork.own.height for fork in committee.forks.values()} == {15}
    assert committee.certifiers[0].height == certified
    assert all(fork.others[0].claim.digest != fork.own.digest for fork in committee.forks.values())
