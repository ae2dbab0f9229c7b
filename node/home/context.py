"""What a node knows of itself before any of its parts is made."""

from dataclasses import dataclass
from typing import Self

from consensus.wire.checkpoint_messages import CheckpointWire
from consensus.wire.final_blocks import BlockReader
from ledger.committee import Committees
from ledger.genesis import Genesis
from node.home.layout import Home
from node.settings.tree import Settings


@dataclass(frozen=True, slots=True)
class NodeContext:
    """A node's folder and settings, its chain, and who validates it."""

    home: Home
    settings: Settings
    genesis: Genesis
    committees: Committees

    @classmethod
    def at(cls, home: Home, settings: Settings) -> Self:
        """Of a home, with the genesis that lies there. Raises: HomeUnusable."""
        return cls.of(home, settings, home.genesis())

    @classmethod
    def of(cls, home: Home, settings: Settings, genesis: Genesis) -> Self:
        """Of a genesis that was read already."""
        return cls(home, settings, genesis, Committees.of(genesis))

    def block_reader(self) -> BlockReader:
        """Reads and verifies records of `blocks`."""
        return BlockReader(self.genesis, self.committees)

    def checkpoint_wire(self) -> CheckpointWire:
        """Reads and verifies statements on checkpoints."""
        return CheckpointWire(self.genesis, self.committees)
