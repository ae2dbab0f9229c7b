"""One loop over a journal and a store in memory, with a chain that a committee could have made; signatures counted."""

from collections.abc import Sequence
from typing import Final

from backbone.intake.intake import Advance
from backbone.log import LogRecord
from backbone.store import Entry
from consensus.core.timers import ConsensusSettings
from consensus.runtime.boot import Booter
from consensus.runtime.journal import Journal, header
from consensus.runtime.loop import Loop
from consensus.runtime.ports import LoopPorts
from consensus.wire.final_blocks import BlockReader, encode_block
from consensus.wire.messages import Block, Certificate, Kind, Statement
from consensus.wire.topics import all_positions, consensus_topics
from ledger.committee import Committees
from ledger.keys import verify
from tests.builders import validator_key
from tests.committee import MemoryFile, MemoryStore
from tests.core_bench import START_MS, Bench


class LoopBench:
    """Validator v0 of four. `chain` is final everywhere else: block i orders i + 1 records, all of which v0 holds."""

    def __init__(self, blocks: int, holds_records: bool = True, journaled: Sequence[Statement] = ()) -> None:
        """`journaled`: what an earlier life of it has signed, and never sent."""
        self.bench: Final = Bench()
        self.genesis: Final = self.bench.genesis
        self.committees = Committees.of(self.genesis)
        self.blocks_topic: Final = self.genesis.topic_name("blocks")
        self.topics: Final = consensus_topics(self.genesis, self.committees.current)
        self.reader: Final = BlockReader(self.genesis, self.committees)
        self.store: Final = MemoryStore(1)
        self.now_ms = START_MS
        self.verifications = 0
        self.sent: list[bytes] = []
        self.chain: Final = self._chain(blocks)
        journal = Journal(
            MemoryFile(header(self.genesis.digest, validator_key(0).public_key)),
            self.genesis.digest,
            validator_key(0).public_key,
        )
        for statement in journaled:
            journal.add_own(statement.view, self.bench.wire.encode(statement))
        journal.commit()
        positions = all_positions(self.genesis, self.committees.current, {})
        boot = Booter(self.genesis, validator_key(0).public_key, self.bench.wire, self.reader, journal).boot(
            self.store, [], positions
        )
        self.loop: Final = Loop(self._ports(journal), ConsensusSettings(), boot, self.now_ms)
        if holds_records:
            self.hold()

    def hold(self) -> None:
        """The intake tells of all records."""
        heads = [block.header.heads[0] for block in self.chain]
        self.loop.take(Advance(0, 0, tuple(Entry(head.end_offset, head.chain_digest, 10) for head in heads)), 0)
        self.end_turn()

    def know_top(self) -> None:
        """Somebody says that the last block of the chain is final."""
        self.take(self.topics[1], self.bench.wire.encode(self.finalization(self.chain[-1])))
        self.end_turn()

    def take(self, topic: str, value: bytes, offset: int = 0) -> None:
        self.loop.take(LogRecord(topic, 0, offset, None, value), self.now_ms)

    def end_turn(self) -> None:
        self.loop.end_turn(self.now_ms)

    def verify(self, public_key: bytes, message: bytes, signature: bytes) -> bool:
        """Counted."""
        self.verifications += 1
        return verify(public_key, message, signature)

    def finalization(self, block: Block, voters: Sequence[int] = (1, 2, 3)) -> Certificate:
        return self.bench.certificate(Kind.FINALIZE, block.header.view, block, voters)

    def record(self, block: Block, finalization: Certificate | None = None, descendants: Sequence[Block] = ()) -> bytes:
        """The value of a record of `blocks`."""
        proof = self.reader.prove(finalization or self.finalization(block), descendants)
        return encode_block(block.header_bytes, proof)

    def height(self) -> int:
        """Of the last block that the store was given."""
        return self.store.last_height()

    def _chain(self, blocks: int) -> list[Block]:
        chain: list[Block] = []
        for number, head in enumerate(self.bench.heads(blocks), 1):
            chain.append(self.bench.block(number, chain[-1] if chain else None, heads=(head,)))
        return chain

    def _ports(self, journal: Journal) -> LoopPorts:
        return LoopPorts(
            genesis=self.genesis,
            committees=self.committees,
            key=validator_key(0),
            index=0,
            journal=journal,
            store=self.store,
            finals=self.store,
            outbox=self,
            on_final=lambda final: None,
            request=lambda request: None,
            on_durable=lambda name: None,
            report=lambda what, facts: None,
            verify=self.verify,
        )

    def send(self, topic: str, value: bytes) -> None:
        """The outbox of the loop."""
        self.sent.append(value)
