"""Equal state: honest validators execute their own stores, in groups of their own, and have the same rows."""

from collections.abc import Iterator
from typing import Any, Final

from consensus.wire.messages import Block
from executor.execute import BlockInput, execute
from executor.state import State
from ingest.verdicts import Record, judge
from ledger.block import FinalBlock
from simulation.checkers.checker import Checker, Violation
from simulation.parts.tables import Tables
from simulation.parts.validator import SimValidator

GROUPS: Final = (1, 4, 2, 100)
"""How many blocks the validators execute at once, in turn."""


class EqualState(Checker):
    """Runs verdicts and the executor over what every honest validator holds when all is final."""

    def on_executable(self) -> None:
        states = [self._state(validator) for validator in self.subject.honest]
        for validator, state in zip(self.subject.honest, states, strict=True):
            differing = [table for table, rows in state.items() if rows != states[0][table]]
            if differing:
                raise Violation(f"{validator.name} has other {', '.join(differing)} than v0")

    def _state(self, validator: SimValidator) -> dict[str, Any]:
        state, tables = State(), Tables()
        size, chain = GROUPS[validator.seat % len(GROUPS)], list(self._blocks(validator))
        for start in range(0, len(chain), size):
            blocks = chain[start : start + size]
            inputs = [BlockInput(block, len(records)) for block, records in blocks]
            values = [record for _, records in blocks for record in records]
            verdicts = judge(values, self.subject.genesis.digest, self.subject.genesis.limits)
            wanted = state.wanted(verdicts)
            state.learn(wanted, tables.answer(wanted))
            tables.apply(execute(self.subject.genesis, state, inputs, verdicts))
            state.committed()
        return tables.facts()

    def _blocks(self, validator: SimValidator) -> Iterator[tuple[FinalBlock, list[Record]]]:
        """Its final blocks, each with the records that its own store holds of it."""
        before = self.subject.genesis.empty_heads()
        for final in validator.store.finals:
            block = self.subject.wire.read_block(final.header_bytes)
            assert isinstance(block, Block), "it was read when it was stored"
            heads = block.header.heads
            records: list[Record] = [
                (old.partition, record.offset, block.header.time_ms, record.value)
                for old, new in zip(before, heads, strict=True)
                for record in validator.store.between(old, new)
            ]
            before = heads
            yield FinalBlock(block.header, final.header_bytes, block.digest, final.proof), records
