"""Which blocks are checkpoint blocks: decided by headers alone, so consensus and execution need not tell each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from ledger.genesis import Genesis
from ledger.header import Head, Header


class Mark(Protocol):
    """What the rule knows of the checkpoint block before: a `Header`, or what a database keeps of one."""

    @property
    def time_ms(self) -> int: ...
    @property
    def heads(self) -> tuple[Head, ...]: ...


@dataclass(frozen=True, slots=True)
class _Mark:
    time_ms: int
    heads: tuple[Head, ...]


def genesis_mark(genesis: Genesis) -> Mark:
    """What stands for the checkpoint before the first."""
    return _Mark(0, genesis.empty_heads())


class CheckpointRule:
    """Every K-th height; and the first block T after the last one whose heads differ from the heads of that one."""

    def __init__(self, genesis: Genesis) -> None:
        self._heights = genesis.checkpoint_heights
        self.time_ms: Final = genesis.checkpoint_time_ms

    def holds(self, header: Header, last: Mark) -> bool:
        """Whether the block of `header` is one, `last` being the checkpoint block before it (or genesis)."""
        return header.height % self._heights == 0 or self.is_due(header.time_ms, header.heads, last)

    def is_due(self, time_ms: int, heads: Sequence[Head], last: Mark) -> bool:
        """Whether a block of this time and these heads is one by time."""
        return time_ms >= last.time_ms + self.time_ms and tuple(heads) != last.heads
