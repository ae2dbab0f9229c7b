"""What must hold in every world. Each checker watches from outside and believes nobody's memory."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

from consensus.blocks import BlockReader, Proven
from consensus.messages import Kind, Proposal, Vote, Wire
from ledger.block import FinalBlock
from ledger.genesis import Genesis
from simulation.signatures import verify_memoised
from simulation.validator import SimValidator

VIEWS_MAX: Final = 400
BLOCKS_MAX: Final = 400


class Violation(Exception):
    """Something that must never happen has happened."""


class Agreement:
    """All honest validators have the same block at every height, each the child of the one before, proven."""

    def __init__(self, genesis: Genesis) -> None:
        self._reader = BlockReader(genesis, verify_memoised)
        self._digests: dict[int, bytes] = {0: genesis.digest}
        self._ends: dict[int, tuple[int, ...]] = {0: (0,) * genesis.partitions}

    def on_final(self, validator: SimValidator, value: bytes) -> None:
        block = self._reader.verify(value)
        if not isinstance(block, FinalBlock):
            raise Violation(f"v{validator.index} stores a block whose proof does not verify")
        height, header = block.header.height, block.header
        known = self._digests.setdefault(height, block.digest)
        if known != block.digest:
            raise Violation(f"fork: v{validator.index} has another final block at height {height}")
        if self._digests.get(height - 1) != header.parent_digest:
            raise Violation(f"height {height} of v{validator.index} is not the child of height {height - 1}")
        ends = tuple(head.end_offset for head in header.heads)
        if any(new < old for new, old in zip(ends, self._ends[height - 1], strict=True)):
            raise Violation(f"heads go back at height {height}")
        self._ends[height] = ends


class Durability:
    """What is sent is in the journal, durably; so is a final block before the store has it, with its records."""

    def __init__(self, genesis: Genesis, wire: Wire) -> None:
        self._reader = BlockReader(genesis, verify_memoised)
        self._wire = wire

    def on_send(self, validator: SimValidator, value: bytes) -> None:
        message = self._wire.decode(value)
        if not isinstance(message, Proposal | Vote):
            return
        if validator.journal.data is None or value not in validator.journal.data:
            raise Violation(f"v{validator.index} sends what its journal does not hold: view {message.view}")

    def on_final(self, validator: SimValidator, value: bytes) -> None:
        if validator.journal.data is None or value not in validator.journal.data:
            raise Violation(f"v{validator.index} stores a block before its journal holds it")
        proven = self._reader.read(value)
        assert isinstance(proven, Proven)
        for held, head in zip(validator.store.records, proven.block.header.heads, strict=True):
            if held < head.end_offset:
                raise Violation(f"v{validator.index} stores a block without its records")


class Honesty:
    """No key of an honest validator ever signs what an honest validator does not, over all its lives."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._said: dict[tuple[int, int], dict[str, bytes]] = defaultdict(dict)
        self._blocks: dict[bytes, tuple[int, ...]] = {}

    def on_send(self, validator: SimValidator, value: bytes) -> None:
        message = self._wire.decode(value)
        if isinstance(message, Proposal):
            self._say(validator, message.view, "propose", message.block.digest)
            self._blocks[message.block.digest] = tuple(head.end_offset for head in message.block.header.heads)
        elif isinstance(message, Vote) and message.validator == validator.index:
            said = self._say(validator, message.view, message.kind.name, message.digest)
            if {Kind.NULLIFY.name, Kind.FINALIZE.name} <= said:
                raise Violation(f"v{validator.index} nullifies and finalizes view {message.view}")
            if message.kind is Kind.NOTARIZE:
                self._check_held(validator, message)

    def _say(self, validator: SimValidator, view: int, what: str, digest: bytes) -> set[str]:
        said = self._said[validator.index, view]
        if said.setdefault(what, digest) != digest:
            raise Violation(f"v{validator.index} says {what} twice in view {view}, of different blocks")
        return set(said)

    def _check_held(self, validator: SimValidator, vote: Vote) -> None:
        for held, end in zip(validator.store.records, self._blocks.get(vote.digest, ()), strict=False):
            if held < end:
                raise Violation(f"v{validator.index} notarizes in view {vote.view} without holding the records")


class Checkers:
    """All of them, over the honest validators of one world."""

    def __init__(self, genesis: Genesis, byzantine: set[int]) -> None:
        wire = Wire(genesis, verify_memoised)
        self._byzantine = byzantine
        self._blocks_topic = genesis.topic_name("blocks")
        self._agreement = Agreement(genesis)
        self._durability = Durability(genesis, wire)
        self._honesty = Honesty(wire)
        self.finals = 0

    def on_send(self, validator: SimValidator, topic: str, value: bytes, now_ms: int) -> None:
        if validator.index not in self._byzantine and topic != self._blocks_topic:
            self._durability.on_send(validator, value)
            self._honesty.on_send(validator, value)

    def on_final(self, validator: SimValidator, facts: object, now_ms: int) -> None:
        assert isinstance(facts, bytes)
        if validator.index not in self._byzantine:
            self.finals += 1
            self._durability.on_final(validator, facts)
            self._agreement.on_final(validator, facts)

    def on_evidence(self, facts: object, now_ms: int) -> None:
        """Evidence speaks only against those who are Byzantine."""
        assert isinstance(facts, dict)
        if facts["validator"] not in self._byzantine:
            raise Violation(f"evidence against v{facts['validator']}, which is honest")

    def on_halt(self, validator: SimValidator, now_ms: int) -> None:
        """An honest validator whose disk is whole never halts."""
        if validator.index not in self._byzantine:
            raise Violation(f"v{validator.index} halts: {validator.halted}")

    def check_progress(self, honest: Iterable[SimValidator], records: int, now_ms: int) -> None:
        """Everything that was produced is final everywhere."""
        for validator in honest:
            if validator.loop is None:
                raise Violation(f"v{validator.index} is down after the heal")
            header = validator.loop.core.state.chain.delivered.header
            done = sum(head.end_offset for head in header.heads)
            if done != records:
                view = validator.loop.core.state.view
                raise Violation(f"v{validator.index} has {done} of {records} records final (view {view})")

    def check_quiet(self, appended: int, now_ms: int) -> None:
        """An idle chain writes nothing."""
        if appended:
            raise Violation(f"{appended} records were written while the chain was idle")

    def check_memory(self, honest: Iterable[SimValidator]) -> None:
        """After everything is final little is remembered."""
        for validator in honest:
            assert validator.loop is not None
            state = validator.loop.core.state
            if len(state.views) > VIEWS_MAX or len(state.chain) > BLOCKS_MAX:
                raise Violation(f"v{validator.index} remembers {len(state.views)} views, {len(state.chain)} blocks")
