"""What the start of a validator, and of a client, costs by the length of the chain.

python -m benchmarks.history [--smallest] [--blocks 5000,500000]

A home of one validator is made with so many final blocks, each of which orders one record: store, journal and an
embedded log with records and blocks, as a node leaves them. Then each step of a start is taken alone, in a process of
its own: wall seconds, megabytes read, and the most memory that the step added. What grows with the chain shows.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Final, NamedTuple

from backbone.intake.intake import IntakeLimits, IntakeParts
from backbone.intake.retained_records import RetainedRecords
from backbone.log import LogBackPressure, LogProducer, TopicSpec
from backbone.log.embedded import EmbeddedLog
from backbone.store import StoredFinal, StoredRecord, StoreReader, StoreWriter
from backbone.store.files import DiskFile
from benchmarks.smallest import SMALLEST, run_to_its_end
from client.follower import Follower
from consensus.runtime.boot import Booter
from consensus.runtime.journal_file import create, open_journal
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Vote, Wire, genesis_block
from consensus.wire.topics import COMPLETE, all_positions
from ledger import digests
from ledger.committee import FIRST_EPOCH, Committees
from ledger.genesis import DEFAULT_LIMITS, Genesis, Validator, parse_genesis, render_genesis
from ledger.header import Head, Header
from ledger.keys import PrivateKey
from node.home.final_heads import final_time_ms
from node.home.intake import open_intake
from node.ordering.ordered import Ordered

BLOCKS: Final = (5_000, 500_000)
BATCH: Final = 1_000
WAIT_S: Final = 600.0
KEY: Final = PrivateKey.from_seed(bytes(32))
_MIB: Final = 1 << 20


class Cost(NamedTuple):
    """Of one step."""

    seconds: float
    read_mib: float
    memory_mib: float


class UnsyncedFile(DiskFile):
    """Making a history is not what is measured."""

    def sync(self) -> None:
        """See `AppendFile`."""


def chain() -> Genesis:
    """Of one validator and one partition."""
    validator = Validator("v0", KEY.address, KEY.public_key, 1)
    return parse_genesis(
        render_genesis(
            chain="history",
            topic_id="history-topic",
            partitions=1,
            validators=[validator],
            limits=DEFAULT_LIMITS,
            checkpoint_heights=1_000,
            checkpoint_time_ms=60_000,
        )
    )


def history(genesis: Genesis) -> Iterator[tuple[StoredRecord, StoredFinal]]:
    """Record by record, and the block that makes it final."""
    committees = Committees.of(genesis)
    wire, reader = Wire(genesis, committees), BlockReader(genesis, committees)
    parent, head = genesis_block(genesis), genesis.empty_heads()[0]
    while True:
        height = parent.header.height + 1
        value = b"record %d" % height
        digest = digests.chain_next(head.chain_digest, 0, head.end_offset, digests.value_digest(value))
        record = StoredRecord(head.end_offset, 0, value, digest)
        head = Head(0, 0, head.end_offset + 1, digest)
        times = (height, 0, 1_700_000_000_000 + height * 60)
        version = genesis.protocol_version
        parent = wire.block(Header(version, FIRST_EPOCH, height, height - 1, parent.digest, *times, (head,)))
        yield record, StoredFinal(height, parent.header_bytes, reader.prove(_final(wire, parent), ()))


def _final(wire: Wire, block: Block) -> Certificate:
    vote = Vote(Kind.FINALIZE, FIRST_EPOCH, block.header.view, block.digest, 0)
    return Certificate(Kind.FINALIZE, FIRST_EPOCH, vote.view, vote.digest, ((0, KEY.sign(wire.signing_bytes(vote))),))


def make(folder: Path, blocks: int) -> None:
    """The home."""
    genesis = chain()
    log = EmbeddedLog(folder / "log")
    log.create([TopicSpec(genesis.topic, 1), TopicSpec(genesis.topic_name("blocks"), 1)])
    producer = log.producer()
    last = None
    with StoreWriter(folder / "store", open_file=UnsyncedFile) as store:
        for record, final in islice(history(genesis), blocks):
            store.append(0, [record])
            store.append_final(*final)
            last = encode_block(final.header_bytes, final.proof)
            _send(producer, genesis.topic, record.value or b"")
            _send(producer, genesis.topic_name("blocks"), last)
    producer.flush(int(WAIT_S * 1000))
    producer.close()
    create(folder / "journal", genesis.digest, KEY.public_key)
    journal = open_journal(folder / "journal", genesis.digest, KEY.public_key)
    assert last is not None
    journal.add_final(blocks, last, b"")
    journal.add_positions({genesis.topic_name("blocks"): blocks, COMPLETE: blocks})
    journal.commit()
    journal.close()
    log.close()


def _send(producer: LogProducer, topic: str, value: bytes) -> None:
    while True:
        try:
            producer.send(topic, 0, value)
        except LogBackPressure:
            producer.poll(10)
        else:
            return


# --- the steps ---


def open_store(folder: Path) -> None:
    """Order opens its store to write."""
    StoreWriter(folder / "store").close()


def open_its_intake(folder: Path) -> None:
    """Order begins to read clients' records where its store ends."""
    genesis = chain()
    log = EmbeddedLog(folder / "log")
    with StoreWriter(folder / "store") as store, StoreReader(folder / "store") as stored:
        retained = RetainedRecords(folder / "retained")
        parts = IntakeParts(log, genesis.topic, store, stored, retained, _chain_next)
        intake = open_intake(parts, genesis, IntakeLimits(), None, lambda: int(time.monotonic() * 1000))
        for _ in range(4):
            intake.pump(BATCH, 10)
        intake.close()


def _chain_next(before: bytes, incarnation: int, offset: int, value: bytes | None) -> bytes:
    return digests.chain_next(before, incarnation, offset, digests.value_digest(value))


def boot(folder: Path) -> None:
    """Consensus takes up journal, store and topics."""
    genesis = chain()
    committees = Committees.of(genesis)
    journal = open_journal(folder / "journal", genesis.digest, KEY.public_key)
    with StoreWriter(folder / "store") as store:
        wire, reader = Wire(genesis, committees), BlockReader(genesis, committees)
        positions = all_positions(genesis, committees.current, journal.positions)
        Booter(genesis, KEY.public_key, wire, reader, journal).boot(store, (), positions)
    journal.close()


def count_ordered(folder: Path) -> None:
    """Order counts what execution has still to do, from the height that the database has."""
    genesis = chain()
    with StoreReader(folder / "store") as stored:
        Ordered(stored, genesis, stored.last_height())
        final_time_ms(stored, genesis)


def read_next_blocks(folder: Path) -> None:
    """Execution goes on above the height that its database has."""
    with StoreReader(folder / "store") as stored:
        assert stored.final_after(stored.last_height() - 1, BATCH)


def look_at_newest(folder: Path) -> None:
    """`momus status` and the readiness of the API."""
    with StoreReader(folder / "store") as stored:
        assert stored.newest_final() is not None


def begin_as_client(folder: Path) -> None:
    """A new client, and so every `momus submit`, finds the newest block that a quorum has signed."""
    genesis, found, stopped = chain(), Event(), Event()
    log = EmbeddedLog(folder / "log")
    follower = Follower(
        log,
        genesis,
        Committees.of(genesis),
        0,
        lambda: True,
        lambda header: None,
        lambda why: stopped.set(),
        found.set,
    )
    follower.start()
    assert found.wait(WAIT_S), "no newest block was found"
    follower.stop()
    assert not stopped.is_set()


STEPS: Final[Mapping[str, Callable[[Path], None]]] = {
    "store opened to write": open_store,
    "intake opened, and the log looked at": open_its_intake,
    "consensus booted": boot,
    "what execution has still to do counted": count_ordered,
    "next blocks read by execution": read_next_blocks,
    "newest block looked at (`momus status`)": look_at_newest,
    "client began (`momus submit`)": begin_as_client,
}


def measure(step: Callable[[Path], None], folder: Path) -> Cost:
    """Of a step in this process, which has done nothing else."""
    read, memory, began = _told("io", "rchar"), _told("status", "VmHWM"), time.perf_counter()
    step(folder)
    took = time.perf_counter() - began
    grown = _told("status", "VmHWM") - memory
    return Cost(took, (_told("io", "rchar") - read) / _MIB, grown / 1024)


def _told(file: str, field: str) -> int:
    """What the kernel tells of this process: `rchar` are bytes read by system calls, whether from the disk or not,
    `VmHWM` the most memory that it had, in KiB."""
    lines = Path(f"/proc/{os.getpid()}/{file}").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{field}:"))


def alone(step: Callable[[Path], None], folder: Path) -> Cost:
    """Of a step in a process of its own."""
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(measure, step, folder).result()


def main(argv: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    parser.add_argument("--blocks", default=",".join(map(str, BLOCKS)), help="How long the chains are, by commas.")
    given = parser.parse_args(argv)
    lengths = (20, 40) if given.smallest else tuple(map(int, given.blocks.split(",")))
    costs: dict[str, list[Cost]] = {name: [] for name in STEPS}
    for blocks in lengths:
        with TemporaryDirectory(prefix="momus-history-") as folder:
            began = time.perf_counter()
            make(Path(folder), blocks)
            print(f"{blocks:,} blocks made in {time.perf_counter() - began:.0f} s", flush=True)
            for name, step in STEPS.items():
                costs[name].append(alone(step, Path(folder)))
    print("\n| step | " + " | ".join(f"{blocks:,} blocks: s, MiB read, MiB of memory" for blocks in lengths) + " |")
    print("|---|" + "---|" * len(lengths))
    for name, found in costs.items():
        told = " | ".join(f"{cost.seconds:.3f}, {cost.read_mib:.1f}, {cost.memory_mib:.1f}" for cost in found)
        print(f"| {name} | {told} |")


if __name__ == "__main__":
    run_to_its_end(main)
