"""A validator's intake and a follower, over the embedded log and with real proofs of finality, get the same store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backbone.intake.intake import Advance, Intake, IntakeLimits, IntakeParts, Source
from backbone.intake.retained_records import RetainedRecords
from backbone.log import TopicSpec
from backbone.log.embedded import EmbeddedLog
from backbone.store import StoreReader, StoreWriter
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Certificate, Kind, Vote, Wire
from ledger.committee import Committees
from ledger.header import Epoch, Head, Header
from node.recovery.follow import Follower, FollowProgress, LogTooShort
from tests.builders import genesis, validator_key
from tests.store_records import chain

GENESIS = genesis()
LIMITS = IntakeLimits(suffix_records_max=50)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log")
    log.create([TopicSpec(GENESIS.topic, GENESIS.partitions), TopicSpec(GENESIS.topic_name("blocks"), 1)])
    yield log
    log.close()


class Validator:
    """A committee of one without the consensus: each batch that its intake stored becomes a final block."""

    def __init__(self, log: EmbeddedLog, store: Path) -> None:
        self.log = log
        self.writer = StoreWriter(store)
        starts = GENESIS.empty_heads()

        self.intake = Intake(
            IntakeParts(log, GENESIS.topic, self.writer, StoreReader(store), RetainedRecords(store / "aside"), chain),
            starts,
            starts,
            [Source(log.describe(GENESIS.topic).topic_id)] * len(starts),
            LIMITS,
        )
        self.wire = Wire(GENESIS, Committees.of(GENESIS))
        self.heads = list(starts)
        self.parent = GENESIS.digest
        self.height = 0

    def order(self) -> bool:
        """Whether there was anything for a block."""
        advances = self.intake.pump(17, 0)
        for advance in advances:
            assert isinstance(advance, Advance)
            end_offset, digest, _ = advance.entries[-1]
            self.heads[advance.partition] = Head(advance.partition, 0, end_offset, digest)
        if advances:
            self._finalize()
        return bool(advances)

    def _finalize(self) -> None:
        self.height += 1
        view = self.height
        header = Header(1, Epoch(0), self.height, self.height - 1, self.parent, view, 0, self.height, tuple(self.heads))
        block = self.wire.block(header)
        vote = Vote(Kind.FINALIZE, Epoch(0), view, block.digest, 0)
        signature = validator_key(0).sign(self.wire.signing_bytes(vote))
        finalization = Certificate(Kind.FINALIZE, Epoch(0), view, block.digest, ((0, signature),))
        proof = BlockReader(GENESIS, Committees.of(GENESIS)).prove(finalization, ())
        self.writer.append_final(self.height, block.header_bytes, proof)
        self.intake.on_final(self.heads)
        self.parent = block.digest
        producer = self.log.producer()
        producer.send(GENESIS.topic_name("blocks"), 0, encode_block(block.header_bytes, proof))
        assert producer.flush(10_000) == 0
        producer.close()


def _produce(log: EmbeddedLog, count: int) -> None:
    producer = log.producer()
    for number in range(count):
        producer.send(GENESIS.topic, number % 3 % 2, b"record %d" % number)
    assert producer.flush(10_000) == 0
    producer.close()


def _follow(log: EmbeddedLog, store: Path) -> FollowProgress:
    with StoreWriter(store) as writer:
        verify = BlockReader(GENESIS, Committees.of(GENESIS)).verify
        return Follower(log.reader, GENESIS, writer, StoreReader(store), verify, lambda _: None).run()


def _content(store: Path, heads: list[int]) -> list[object]:
    reader = StoreReader(store)
    records = [reader.records(partition, 0, end) for partition, end in enumerate(heads)]
    return [*records, reader.final_after(0, 1000)]


def test_a_store_filled_from_the_log_equals_the_validators(tmp_path: Path, log: EmbeddedLog) -> None:
    validator = Validator(log, tmp_path / "validator")
    for count in (100, 40, 1):
        _produce(log, count)
        while validator.order():
            pass
        progress = _follow(log, tmp_path / "follower")
        assert (progress.height, progress.refused) == (validator.height, 0)
    ends = [head.end_offset for head in validator.heads]
    assert sum(ends) == 141
    assert _content(tmp_path / "follower", ends) == _content(tmp_path / "validator", ends)
    validator.writer.close()


def test_a_log_truncated_below_what_is_final_is_named(tmp_path: Path, log: EmbeddedLog) -> None:
    validator = Validator(log, tmp_path / "validator")
    _produce(log, 30)
    while validator.order():
        pass
    log.truncate(GENESIS.topic, 0, 10)
    with pytest.raises(LogTooShort, match=r"Partition 0 .* no record at or above offset 10"):
        _follow(log, tmp_path / "follower")
    validator.writer.close()
