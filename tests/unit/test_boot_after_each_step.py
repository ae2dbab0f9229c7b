"""A validator whose process dies at any durable step of a block that opens an incarnation: when it boots again,
journal, store, intake and core agree at once, and the next incarnation is read on."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event, Thread, current_thread

import pytest

from backbone.intake.intake import Intake, IntakeLimits, IntakeParts
from backbone.intake.retained_records import RetainedRecords
from backbone.log import TopicSpec
from backbone.log.embedded import EmbeddedLog
from backbone.store import StoreReader, StoreWriter
from consensus.core.timers import ConsensusSettings
from consensus.runtime.clock import SteadyClock
from consensus.runtime.driver import Driver
from consensus.runtime.journal_file import create, open_journal
from consensus.runtime.ports import Ports
from consensus.wire.topics import voting_topics
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Head
from node.home.final_heads import final_heads, sources
from tests.builders import genesis, validator_key
from tests.patience import WAIT_S
from tests.unit.test_driver_threads import NoSource, chain_after, wait_for

TOPIC = "momus.test.transactions"
PARTITIONS = 2


class Killed(BaseException):
    """The process is gone."""


class Steps:
    """Durable steps of the deciding thread; the process dies at one of them, if any is named."""

    def __init__(self, kill_at: int | None = None) -> None:
        self.kill_at = kill_at
        self.taken = 0

    def take(self, name: str) -> None:
        if not current_thread().name.startswith("driver"):
            return
        if self.taken == self.kill_at:
            raise Killed(name)
        self.taken += 1


class SteppingStore(StoreWriter):
    """The store; that records were dropped is a step of its own."""

    def __init__(self, directory: Path, steps: Steps) -> None:
        super().__init__(directory)
        self._steps = steps

    def replace_suffix(self, partition: int, from_offset: int, incarnation: int = 0) -> None:
        self._steps.take("drop.before")
        super().replace_suffix(partition, from_offset, incarnation)
        self._steps.take("drop.after")


class Life:
    """One life of the process, over what is on disk; built as `node.ordering.process` builds it."""

    def __init__(self, path: Path, chain: Genesis, log: EmbeddedLog, steps: Steps) -> None:
        self.store = SteppingStore(path / "store", steps)
        self.stored = StoreReader(path / "store")
        self.chain = chain
        self.log = log
        parts = IntakeParts(
            log, chain.topic, self.store, StoreReader(path / "store"), RetainedRecords(path / "aside"), chain_after
        )
        final = final_heads(parts.stored, chain)
        found = sources(parts.stored, chain, final)
        self.intake = Intake(parts, chain.empty_heads(), final, found, IntakeLimits())
        key = validator_key(0)
        ports = Ports(
            genesis=chain,
            committees=Committees.of(chain),
            key=key,
            log=log,
            store=self.store,
            store_reader=self.stored,
            intake=self.intake,
            source=NoSource(),
            open_journal=partial(open_journal, path / "journal", chain.digest, key.public_key, steps.take),
            lag=lambda: 0,
            claims=lambda: (),
            now_ms=SteadyClock().now_ms,
            on_durable=steps.take,
        )
        self.driver = Driver(ports, ConsensusSettings())
        self.was_killed = False
        self.over = Event()
        self.thread = Thread(target=self._run, name="driver")
        self.thread.start()

    def _run(self) -> None:
        try:
            self.driver.run()
        except Killed:
            self.was_killed = True
        finally:
            self.over.set()

    def heads(self) -> tuple[Head, ...]:
        """Of the last final block in the store."""
        return final_heads(StoreReader(self.stored.directory), self.chain)

    def has_final(self, ends: list[tuple[int, int]]) -> Callable[[], bool]:
        """Whether partitions are final up to (incarnation, end offset), each; true, too, of one that is gone."""
        return lambda: self.over.is_set() or [(h.incarnation, h.end_offset) for h in self.heads()] == ends

    def agreement(self) -> list[tuple[tuple[int, int, bytes], ...]]:
        """Where each partition is final: as the store, the intake and the core say, without twice the same."""
        loop = self.driver._loop
        assert loop is not None
        found = []
        for head in self.heads():
            at, base = self.intake.partitions[head.partition], loop.core.state.heads.base(head.partition)
            said = [
                (head.incarnation, head.end_offset, head.chain_digest),
                (at.incarnation, at.final_offset, at.final_digest),
                (base.incarnation, base.end_offset, base.chain_digest),
            ]
            found.append(tuple(dict.fromkeys(said)))
        return found

    def end(self) -> None:
        self.driver.stop()
        self.thread.join(WAIT_S)
        self.intake.close()
        self.store.close()


@contextmanager
def life(path: Path, chain: Genesis, log: EmbeddedLog, kill_at: int | None = None) -> Iterator[Life]:
    living = Life(path, chain, log, Steps(kill_at))
    try:
        yield living
    finally:
        living.end()


def make_topic(log: EmbeddedLog) -> None:
    log.create([TopicSpec(TOPIC, PARTITIONS)])


def produce(log: EmbeddedLog, partition: int, *values: bytes) -> None:
    producer = log.producer()
    for value in values:
        producer.send(TOPIC, partition, value)
    assert producer.flush(5_000) == 0
    producer.close()


def make_home(path: Path) -> tuple[Genesis, EmbeddedLog]:
    """A validator that has ordered three records and two, and whose topic was then made anew, with one record each."""
    path.mkdir()
    log = EmbeddedLog(path / "log")
    make_topic(log)
    chain = genesis(1, partitions=PARTITIONS, topic_id=log.describe(TOPIC).topic_id)
    assert chain.topic == TOPIC
    names = [*voting_topics(chain, Committees.of(chain).current), chain.topic_name("blocks")]
    log.create([TopicSpec(name, 1) for name in names])
    create(path / "journal", chain.digest, validator_key(0).public_key)
    with life(path, chain, log) as living:
        produce(log, 0, b"a", b"b", b"c")
        produce(log, 1, b"d", b"e")
        wait_for(living.has_final([(0, 3), (0, 2)]))
    log.delete([TOPIC])
    make_topic(log)
    produce(log, 0, b"x")
    produce(log, 1, b"y")
    return chain, log


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Genesis]:
    path = tmp_path_factory.mktemp("opening") / "home"
    chain, log = make_home(path)
    log.close()
    return path, chain


@pytest.mark.parametrize("kill_at", range(12))
def test_a_process_that_dies_at_any_step_of_an_opening_boots_to_one_truth_and_goes_on(
    made: tuple[Path, Genesis], tmp_path: Path, kill_at: int
) -> None:
    path, chain = tmp_path / "home", made[1]
    shutil.copytree(made[0], path)
    log = EmbeddedLog(path / "log")
    with life(path, chain, log, kill_at) as living:
        wait_for(living.has_final([(1, 1), (1, 1)]))
    assert living.was_killed, "an opening, and the block behind it, take more steps"
    with life(path, chain, log) as again:
        produce(log, 0, b"z")
        wait_for(again.has_final([(1, 2), (1, 1)]))
        assert not again.over.is_set()
    log.close()
    assert [len(said) for said in again.agreement()] == [1] * PARTITIONS
