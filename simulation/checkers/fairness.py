"""Fairness: however much one partition is given, the others get their turn."""

from collections.abc import Mapping, Sequence

from consensus.wire.messages import Block
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.parts.validator import SimValidator


class Fairness(Checker):
    """Counts blocks of honest leaders that pass over a partition of which there are records, once the world is healed
    and the chain was idle: everybody has read what there is then.

    Each partition goes first in n views of n * P; some honest validator leads one of them.
    """

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        partitions = subject.genesis.partitions
        self._blocks_max = len(subject.genesis.validators) * (partitions + 1) + 2
        self._ends = [0] * partitions
        self._passed = [0] * partitions
        self._height = 0
        self._is_on = False

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._height, self._ends = len(blocks), [head.end_offset for head in blocks[-1].header.heads]

    def on_quiet(self, appended: Mapping[int, int]) -> None:
        self._is_on = True

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        header = stored.block.header
        if header.height <= self._height:
            return
        self._height = header.height
        before, self._ends = self._ends, [head.end_offset for head in header.heads]
        if not self._is_on or header.proposer not in self.subject.honest_members:
            return
        for partition, end_offset in enumerate(self._ends):
            records = self.subject.log.views[partition].records
            is_waiting = bool(records) and records[-1].offset >= end_offset
            is_passed = is_waiting and end_offset == before[partition]
            self._passed[partition] = self._passed[partition] + 1 if is_passed else 0
            if self._passed[partition] > self._blocks_max:
                raise Violation(f"{self._passed[partition]} blocks in a row pass over partition {partition}")
