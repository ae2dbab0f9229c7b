"""The driver over threads and files: one validator and four, start, stop and what stops it."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event, Thread
from time import monotonic
from typing import NoReturn

import pytest

from backbone.intake.intake import Intake, IntakeLimits, IntakeParts, Source
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogUnavailable, PositionLost, TopicMissing
from backbone.store import StoreReader, StoreWriter
from consensus.core.timers import ConsensusSettings
from consensus.runtime.clock import SteadyClock
from consensus.runtime.driver import Driver
from consensus.runtime.errors import ForkFound, JournalLocked, JournalLost, ValidatorHalt
from consensus.runtime.journal_file import create, open_journal
from consensus.runtime.ports import Ports
from consensus.wire.checkpoint_messages import CheckpointSignature, CheckpointWire
from consensus.wire.final_blocks import BlockReader
from ledger import digests
from ledger.block import FinalBlock
from ledger.checkpoint import Checkpoint
from ledger.committee import Committees
from ledger.genesis import Genesis
from ledger.header import Epoch, Head, Header, decode_header
from ledger.keys import PrivateKey
from tests.builders import genesis, validator_key
from tests.flaky_log import FlakyLog
from tests.patience import WAIT_S


class NoSource:
    """Nobody has any records."""

    def fetch(self, before: Head, target: Head) -> None:
        return None


def intake_of(chain: Genesis, log: FlakyLog, store: StoreWriter, home: Path) -> Intake:
    return Intake(
        IntakeParts(
            log, chain.topic, store, StoreReader(home / "store"), RetainedRecords(home / "store" / "aside"), chain_after
        ),
        chain.empty_heads(),
        chain.empty_heads(),
        [Source(log.describe(chain.topic).topic_id)] * chain.partitions,
        IntakeLimits(),
    )


def chain_after(before: bytes, incarnation: int, offset: int, value: bytes | None) -> bytes:
    return digests.chain_next(before, incarnation, offset, digests.value_digest(value))


class Running:
    """A driver in a thread, over a home on disk."""

    def __init__(
        self,
        home: Path,
        chain: Genesis,
        log: FlakyLog,
        index: int = 0,
        key: PrivateKey | None = None,
        claims: Callable[[], Sequence[Checkpoint]] = lambda: (),
    ) -> None:
        self.error: BaseException | None = None
        self.over = Event()
        self.store = StoreWriter(home / "store")
        self.reader = StoreReader(home / "store")
        intake = intake_of(chain, log, self.store, home)
        key = key or validator_key(index)
        ports = Ports(
            genesis=chain,
            committees=Committees.of(chain),
            key=key,
            log=log,
            store=self.store,
            store_reader=self.reader,
            intake=intake,
            source=NoSource(),
            open_journal=partial(open_journal, home / "journal", chain.digest, key.public_key),
            lag=lambda: 0,
            claims=claims,
            now_ms=SteadyClock().now_ms,
        )
        self.driver = Driver(ports, ConsensusSettings())
        self.thread = Thread(target=self._run)
        self.thread.start()

    def _run(self) -> None:
        try:
            self.driver.run()
        except (ValidatorHalt, PositionLost, TopicMissing) as error:
            self.error = error
        finally:
            self.store.close()
            self.over.set()

    def stop(self) -> None:
        self.driver.stop()
        self.thread.join(WAIT_S)
        assert not self.thread.is_alive()

    def final_records(self) -> int:
        found = self.reader.final_after(max(0, self.reader.last_height() - 1), 1)
        return 0 if not found else _records(found[0].header_bytes)

    def final_head(self) -> Head:
        """The head of partition 0 in the last final block."""
        return _heads(self.reader.final_after(self.reader.last_height() - 1, 1)[0].header_bytes)[0]


def _records(header_bytes: bytes) -> int:
    return sum(head.end_offset for head in _heads(header_bytes))


def _heads(header_bytes: bytes) -> tuple[Head, ...]:
    header = decode_header(header_bytes, 16)
    assert isinstance(header, Header)
    return header.heads


def wait_for(is_so: Callable[[], bool]) -> None:
    deadline = monotonic() + WAIT_S
    pause = Event()
    while not is_so():
        assert monotonic() < deadline, "it did not come about"
        pause.wait(0.005)


@pytest.fixture
def log() -> FlakyLog:
    return FlakyLog()


@pytest.fixture
def homes(tmp_path: Path) -> list[Path]:
    chain = genesis(4)
    homes = [tmp_path / str(index) for index in range(4)]
    for index, home in enumerate(homes):
        home.mkdir()
        create(home / "journal", chain.digest, validator_key(index).public_key)
    return homes


def one_home(tmp_path: Path) -> Genesis:
    chain = genesis(1)
    create(tmp_path / "journal", chain.digest, validator_key(0).public_key)
    return chain


def test_one_validator_orders_what_is_in_the_log_and_publishes_verifiable_blocks(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    running = Running(tmp_path, chain, log)
    for number in range(50):
        log.append(chain.topic, number % 2, b"record %d" % number)
    wait_for(lambda: running.final_records() == 50)
    running.stop()
    blocks = [
        BlockReader(chain, Committees.of(chain)).verify(value) for value in log.values(chain.topic_name("blocks"))
    ]
    assert running.error is None
    assert blocks
    assert all(isinstance(block, FinalBlock) for block in blocks)


def test_a_validator_goes_on_where_it_stopped(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    for start in range(3):
        running = Running(tmp_path, chain, log)
        for number in range(20):
            log.append(chain.topic, 0, b"record %d %d" % (start, number))
        wait_for(lambda: running.final_records() == 20 * (start + 1))  # noqa: B023
        running.stop()
        assert running.error is None
    heights = [
        BlockReader(chain, Committees.of(chain)).verify(value) for value in log.values(chain.topic_name("blocks"))
    ]
    numbers = [block.header.height for block in heights if isinstance(block, FinalBlock)]
    assert sorted(set(numbers)) == list(range(1, max(numbers) + 1))


def test_who_stops_over_a_fork_of_the_state_has_said_its_own_before(homes: list[Path], log: FlakyLog) -> None:
    chain = genesis(4)
    wire = CheckpointWire(chain, Committees.of(chain))
    mine, theirs = (
        Checkpoint(Epoch(0), 7, bytes(32), chain.empty_heads(), bytes((n,)) * 32, chain.digest) for n in (1, 2)
    )
    own_topic, another = (chain.topic_name(f"consensus.{chain.validators[n].name}") for n in (0, 1))
    for member in (1, 2):
        claim = wire.claim(theirs)
        said = wire.encode(CheckpointSignature(claim, member, validator_key(member).sign(wire.signing_bytes(claim))))
        log.append(another, 0, said)
    log.append(another, 0, said + b"malformed, so counted: then both were read")
    running: list[Running] = []

    def claims() -> Sequence[Checkpoint]:
        has_read = running and running[0].driver.status().get("refused_checkpoints_malformed", 0)
        return (mine,) if has_read else ()

    running.append(Running(homes[0], chain, log, claims=claims))
    assert running[0].over.wait(WAIT_S)
    assert isinstance(running[0].error, ForkFound)
    spoken = [
        message for value in log.values(own_topic) if isinstance(message := wire.decode(value), CheckpointSignature)
    ]
    assert [message.claim.checkpoint for message in spoken] == [mine]


def test_four_validators_agree_and_one_that_was_away_catches_up(homes: list[Path], log: FlakyLog) -> None:
    chain = genesis(4)
    running = [Running(home, chain, log, index) for index, home in enumerate(homes)]
    log.append(chain.topic, 0, b"first")
    wait_for(lambda: all(one.final_records() == 1 for one in running))
    running[3].stop()
    for number in range(5):
        log.append(chain.topic, 1, b"later %d" % number)
        wait_for(lambda: running[0].final_records() == 2 + number)  # noqa: B023
    running[3] = Running(homes[3], chain, log, 3)
    wait_for(lambda: all(one.final_records() == 6 for one in running))
    for one in running:
        one.stop()
    assert [one.error for one in running] == [None] * 4
    finals = [[(final.height, final.header_bytes) for final in one.reader.final_after(0, 100)] for one in running]
    assert finals[0] == finals[1] == finals[2] == finals[3]


def test_a_key_that_is_no_validators_is_refused(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    with pytest.raises(ValueError, match="not that of a validator"):
        Running(tmp_path, chain, log, key=validator_key(9))


def test_a_missing_journal_halts(tmp_path: Path, log: FlakyLog) -> None:
    running = Running(tmp_path, genesis(1), log)
    assert running.over.wait(WAIT_S)
    assert isinstance(running.error, JournalLost)


def test_a_second_process_on_one_journal_halts(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    running = Running(tmp_path, chain, log)
    wait_for(lambda: bool(running.driver.status()))
    other = tmp_path / "other"
    other.mkdir()
    (other / "journal").symlink_to(tmp_path / "journal")
    (other / "journal.lock").symlink_to(tmp_path / "journal.lock")
    second = Running(other, chain, log)
    assert second.over.wait(WAIT_S)
    assert isinstance(second.error, JournalLocked)
    running.stop()


def test_a_missing_topic_stops_the_driver(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    log.missing.add(chain.topic_name("blocks"))
    running = Running(tmp_path, chain, log)
    assert running.over.wait(WAIT_S)
    assert isinstance(running.error, TopicMissing)


def test_a_truncated_log_is_opened_anew_and_ordered_on(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    running = Running(tmp_path, chain, log)
    log.append(chain.topic, 0, b"as it was")
    wait_for(lambda: running.final_records() == 1)
    with log.lock:
        log.records[chain.topic, 0].clear()
        log.lock.notify_all()
    wait_for(lambda: running.final_head().incarnation == 1)
    assert running.final_head().end_offset == 0
    log.append(chain.topic, 0, b"as it is now")
    wait_for(lambda: running.final_head().end_offset == 1)
    running.stop()
    values = [StoreReader(tmp_path / "store").records(0, 0, 1, incarnation)[0].value for incarnation in (0, 1)]
    assert values == [b"as it was", b"as it is now"]


def test_status_is_empty_before_boot_and_tells_height_and_view_after(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    running = Running(tmp_path, chain, log)
    log.append(chain.topic, 0, b"record")
    wait_for(lambda: running.driver.status().get("height") == 1)
    status = running.driver.status()
    running.stop()
    assert status["view"] == status["final_view"] + 1


def test_a_validator_alone_misses_no_view_in_its_own_eyes(tmp_path: Path, log: FlakyLog) -> None:
    chain = one_home(tmp_path)
    running = Running(tmp_path, chain, log)
    for number in range(20):
        log.append(chain.topic, 0, b"record")
        wait_for(lambda until=number + 1: running.final_records() == until)  # type: ignore[misc]
    (voter,) = running.driver.voters()
    running.stop()
    assert voter[0] == 0


def test_a_log_that_does_not_answer_at_first_leaves_no_lock_behind(tmp_path: Path) -> None:
    class Silent(FlakyLog):
        def producer(self) -> NoReturn:
            raise LogUnavailable("nobody there")

    chain = genesis(1)
    create(tmp_path / "journal", chain.digest, validator_key(0).public_key)
    store = StoreWriter(tmp_path / "store")
    reader = StoreReader(tmp_path / "store")
    log = Silent()
    ports = Ports(
        genesis=chain,
        committees=Committees.of(chain),
        key=validator_key(0),
        log=log,
        store=store,
        store_reader=reader,
        intake=intake_of(chain, log, store, tmp_path),
        source=NoSource(),
        open_journal=partial(open_journal, tmp_path / "journal", chain.digest, validator_key(0).public_key),
        lag=lambda: 0,
        claims=lambda: (),
        now_ms=SteadyClock().now_ms,
    )
    with pytest.raises(LogUnavailable):
        Driver(ports, ConsensusSettings()).run()
    store.close()
    open_journal(tmp_path / "journal", chain.digest, validator_key(0).public_key).close()


def test_a_lost_topic_of_consensus_is_read_from_its_beginning_and_blocks_filled_again(
    tmp_path: Path, log: FlakyLog
) -> None:
    chain = one_home(tmp_path)
    blocks, own = chain.topic_name("blocks"), chain.topic_name(f"consensus.{chain.validators[0].name}")
    running = Running(tmp_path, chain, log)
    log.append(chain.topic, 0, b"first")
    wait_for(lambda: running.final_records() == 1)
    wait_for(lambda: len(log.values(blocks)) == 1)
    with log.lock:
        log.records[blocks, 0].clear()
        log.records[own, 0].clear()
        log.lock.notify_all()
    wait_for(lambda: len(log.values(blocks)) >= 1)
    log.append(chain.topic, 0, b"second")
    wait_for(lambda: running.final_records() == 2)
    running.stop()
    heights = [BlockReader(chain, Committees.of(chain)).verify(value) for value in log.values(blocks)]
    assert {block.header.height for block in heights if isinstance(block, FinalBlock)} >= {1, 2}
    again = Running(tmp_path, chain, log)
    log.append(chain.topic, 0, b"third")
    wait_for(lambda: again.final_records() == 3)
    again.stop()
