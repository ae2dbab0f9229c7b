"""Worlds that begin with a long chain, of which one honest validator lacks much."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

from backbone.store import StoredFinal, StoredRecord
from consensus.runtime.journal import Journal
from consensus.runtime.loop import STORED_MAX
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Vote, Wire, genesis_block
from consensus.wire.topics import COMPLETE
from ledger import digests
from ledger.checkpoint_rule import CheckpointRule, genesis_mark
from ledger.committee import FIRST_EPOCH, Committees
from ledger.genesis import Genesis
from ledger.header import Head, Header
from simulation.cast import Cast
from simulation.checkers import CHECKERS
from simulation.parts.agenda import START_MS
from simulation.parts.faults import Faults
from simulation.parts.partitions import SimRecord
from simulation.parts.signatures import MemoKey, verify_memoised
from simulation.parts.validator import SimValidator
from simulation.trace import Trace
from simulation.world import World

BLOCK_MS: Final = 20
LATE_BLOCKS: Final = (0, 0, 1, 3)
"""How many blocks may have been published long after those above them."""
LATE_RECORDS_MAX: Final = 3_000
CATCH_UP_MS: Final = 40_000
"""About how long who is behind takes to catch up, by the length of its turns."""
LATE_TURN_MS_MAX: Final = 500
CATCH_UP_VIEWS: Final = 64
LATE: Final = 0
"""The seat of who is behind."""


@dataclass(frozen=True, slots=True)
class History:
    """Blocks of height 1 and up, each with one record more, and their views the same numbers."""

    blocks: tuple[Block, ...]
    finals: tuple[StoredFinal, ...]
    records: tuple[tuple[StoredRecord, ...], ...]
    """By partition."""
    checkpoints: tuple[bytes, ...]
    """By height, from 0 on: the header of the last checkpoint block; empty: genesis."""

    def kept(self, height: int) -> list[Sequence[StoredRecord]]:
        """The records of the blocks up to a height."""
        if height == 0:
            return [() for _ in self.records]
        ends = [head.end_offset for head in self.blocks[height - 1].header.heads]
        return [records[:end] for records, end in zip(self.records, ends, strict=True)]


def make_history(genesis: Genesis, keys: Sequence[MemoKey], length: int) -> History:
    """What the validators of a chain would have made final, one view after the other."""
    maker = _Maker(genesis, keys, START_MS - BLOCK_MS * (length + 100))
    for _ in range(length):
        maker.extend()
    records = tuple(map(tuple, maker.records))
    return History(tuple(maker.blocks[1:]), tuple(maker.finals), records, tuple(maker.checkpoints))


class _Maker:
    def __init__(self, genesis: Genesis, keys: Sequence[MemoKey], time_ms: int) -> None:
        committees = Committees.of(genesis)
        self._genesis, self._keys, self._committee = genesis, keys, committees.current
        self._wire = Wire(genesis, committees, verify_memoised)
        self._reader = BlockReader(genesis, committees, verify_memoised)
        self._rule = CheckpointRule(genesis)
        self._mark = genesis_mark(genesis)
        self._time_ms = time_ms
        self._signers = self._quorum()
        self.blocks = [genesis_block(genesis)]
        self.finals: list[StoredFinal] = []
        self.records: list[list[StoredRecord]] = [[] for _ in range(genesis.partitions)]
        self.checkpoints = [b""]

    def extend(self) -> None:
        """One block more."""
        parent, self._time_ms = self.blocks[-1], self._time_ms + BLOCK_MS
        height = parent.header.height + 1
        heads = self._longer(parent.header.heads, height % self._genesis.partitions)
        leader = self._committee.leader(height)
        version = self._genesis.protocol_version
        block = self._wire.block(
            Header(version, FIRST_EPOCH, height, height - 1, parent.digest, height, leader, self._time_ms, heads)
        )
        self.blocks.append(block)
        self.finals.append(StoredFinal(height, block.header_bytes, self._reader.prove(self._final(block), ())))
        is_checkpoint = self._rule.holds(block.header, self._mark)
        self._mark = block.header if is_checkpoint else self._mark
        self.checkpoints.append(block.header_bytes if is_checkpoint else self.checkpoints[-1])

    def _longer(self, heads: tuple[Head, ...], partition: int) -> tuple[Head, ...]:
        """With one record more in a partition."""
        before, offset = heads[partition], len(self.records[partition])
        value = b"old record %d of %d" % (offset, partition)
        digest = digests.chain_next(before.chain_digest, 0, offset, digests.value_digest(value))
        self.records[partition].append(StoredRecord(offset, 0, value, digest))
        head = Head(partition, 0, offset + 1, digest)
        return tuple(head if number == partition else other for number, other in enumerate(heads))

    def _quorum(self) -> tuple[int, ...]:
        members = range(len(self._committee))
        counts = range(1, len(members) + 1)
        return next(tuple(members[:count]) for count in counts if self._committee.is_quorum(members[:count]))

    def _final(self, block: Block) -> Certificate:
        vote = Vote(Kind.FINALIZE, FIRST_EPOCH, block.header.view, block.digest, 0)
        signed = self._wire.signing_bytes(vote)
        signatures = tuple((member, self._keys[member].sign(signed)) for member in self._signers)
        return Certificate(Kind.FINALIZE, FIRST_EPOCH, vote.view, vote.digest, signatures)


class LongWorld(World):
    """As any other; turns of who is behind last so long that it stays behind for a while."""

    def __init__(
        self,
        seed: int,
        cast: Cast | None = None,
        faults: Faults | None = None,
        checkers: Collection[str] = CHECKERS,
        trace: Trace | None = None,
        blocks: int = 10_000,
    ) -> None:
        """As `World`; `blocks`: how many are final from the start.

        No record is kept from one reader alone: each of many thousands would be searched for.
        """
        super().__init__(seed, cast, faults, checkers, trace)
        self.faults = self.log.faults = replace(self.faults, miss=0)
        self._clients = None
        history = make_history(self.genesis, self._keys, blocks)
        for partition, records in enumerate(history.records):
            view = self.log.views[partition]
            view.records = [SimRecord(record.offset, record.value or b"") for record in records]
            view.end_offset = len(records)
            self.log.written |= {(view.topic_id, partition, it.offset, it.value) for it in view.records}
        values = [encode_block(final.header_bytes, final.proof) for final in history.finals]
        late = self._random.choice(LATE_BLOCKS)
        self.log.begin_with(self._shared[0], _with_late(values, late, self._random), LATE)
        behind = self._random.choice((0, blocks // 2, max(0, blocks - 300)))
        turn_ms = 2 * CATCH_UP_MS * STORED_MAX // (blocks - behind)
        self._late_turn_ms = min(LATE_TURN_MS_MAX, turn_ms)
        for validator in self.validators:
            self._begin_at(validator, history, behind if validator.seat == LATE else blocks)
        self.checkers.on_history(history.blocks, late)

    def turn_ms_max(self, seat: int) -> int:
        is_late = seat == LATE and self.checkers.progress.is_far_behind()
        return self._late_turn_ms if is_late else super().turn_ms_max(seat)

    def views_max(self) -> int:
        """While somebody catches up others may lack a quorum, and views end by their timers."""
        return super().views_max() + (CATCH_UP_VIEWS if self.checkers.progress.is_far_behind() else 0)

    def _begin_at(self, validator: SimValidator, history: History, height: int) -> None:
        """Let a disk hold the chain up to a height."""
        validator.store.begin_with(history.kept(height), history.finals[:height])
        if height == 0:
            return
        journal = Journal(validator.journal, self.genesis.digest, validator.key.public_key)
        final = history.finals[height - 1]
        journal.add_final(height, encode_block(final.header_bytes, final.proof), history.checkpoints[height])
        journal.add_positions({self._shared[0]: height, COMPLETE: height})
        journal.commit()


def _with_late(values: Sequence[bytes], late: int, random: Random) -> list[bytes]:
    """So many far behind their place."""
    found = list(values)
    for _ in range(late):
        place = random.randrange(len(found))
        behind = min(len(found) - 1, place + random.randrange(1, LATE_RECORDS_MAX))
        found.insert(behind, found.pop(place))
    return found
