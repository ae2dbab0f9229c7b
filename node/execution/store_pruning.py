"""Removing from the store what no kept snapshot needs any more."""

from backbone.store import StoreReader
from backbone.store.prune import prune_store
from ledger.genesis import Genesis
from node.home.final_heads import final_header, sources
from node.home.store_base import Base, write_base


def prune_below(stored: StoreReader, genesis: Genesis, height: int) -> int:
    """Remove whole segments below a final block, which stays, and the records that it and its ancestors order; how
    many bytes.

    What the store must still know of the blocks that go is written first, so a crash in between leaves nothing to
    repair. Raises: StoreUnusable, StoreDamaged, OSError.
    """
    header = final_header(stored, genesis, height)
    found = sources(stored, genesis, header.heads)
    write_base(stored.directory, Base(header.height, tuple(head.incarnation for head in header.heads), tuple(found)))
    return prune_store(stored.directory, header.height - 1, header.heads)
