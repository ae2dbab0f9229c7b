"""What a node knows of itself before any of its parts is made."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from backbone.store.files import certificate_folder, final_folder, segments
from backbone.store.format import refused_format as refused_store
from consensus.runtime.journal import refused_format as refused_journal
from consensus.wire.checkpoint_messages import CheckpointWire
from consensus.wire.final_blocks import BlockReader
from ledger.committee import Committees
from ledger.genesis import Genesis
from node.home.layout import Home, HomeUnusable
from node.settings.tree import Settings

_BEGINNING_BYTES: Final = 4096


@dataclass(frozen=True, slots=True)
class NodeContext:
    """A node's folder and settings, its chain, and who validates it."""

    home: Home
    settings: Settings
    genesis: Genesis
    committees: Committees

    @classmethod
    def at(cls, home: Home, settings: Settings) -> Self:
        """Of a home, with the genesis that lies there, all of it of the formats that this program reads.

        Raises: HomeUnusable.
        """
        check_formats(home)
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


def check_formats(home: Home) -> None:
    """Of the journal, of the oldest and the newest segment of each log of the store, and of the records set aside. What
    is damaged is left to who opens it. Raises: HomeUnusable."""
    for file, refused in _files(home):
        try:
            with file.open("rb") as stream:
                words = refused(stream.read(_BEGINNING_BYTES))
        except OSError:
            continue
        if words:
            raise HomeUnusable(f"{file} {words}.")


def _files(home: Home) -> Iterator[tuple[Path, Callable[[bytes], str]]]:
    yield home.journal_file, refused_journal
    for folder in (final_folder(home.store), certificate_folder(home.store), *sorted(home.store.glob("partition-*"))):
        found = segments(folder)
        for segment in (*found[:1], *found[1:][-1:]):
            yield segment.path, refused_store
    for run in sorted(home.retained.glob("*.run")):
        yield run, refused_store
