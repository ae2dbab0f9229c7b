"""Agreement: no two final blocks at a height, each the child of the one before."""

from collections.abc import Sequence

from consensus.wire.messages import Block
from simulation.checkers.checker import Checker, Stored, Subject, Violation
from simulation.parts.validator import SimValidator


class Agreement(Checker):
    """One chain, over all validators and all their lives."""

    def __init__(self, subject: Subject) -> None:
        super().__init__(subject)
        self._digests: dict[int, bytes] = {0: subject.genesis.digest}

    def on_history(self, blocks: Sequence[Block], late: int) -> None:
        self._digests |= {block.header.height: block.digest for block in blocks}

    @property
    def height(self) -> int:
        """The highest final block of anybody."""
        return max(self._digests)

    def on_stored(self, validator: SimValidator, stored: Stored) -> None:
        height, header = stored.final.height, stored.block.header
        if header.height != height or len(validator.store.finals) != height:
            raise Violation(f"v{validator.index} stores height {header.height} as height {height}")
        if self._digests.setdefault(height, stored.block.digest) != stored.block.digest:
            raise Violation(f"fork: v{validator.index} has another final block at height {height}")
        if self._digests.get(height - 1) != header.parent_digest:
            raise Violation(f"fork: height {height} of v{validator.index} is not the child of height {height - 1}")
