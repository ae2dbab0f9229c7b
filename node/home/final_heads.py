"""What the store's final headers say of the log: the last heads, and where the incarnations that they are of lie."""

from collections.abc import Sequence
from pathlib import Path

from backbone.intake.intake import Source
from backbone.store import StoredFinal, StoreReader
from ledger.genesis import Genesis
from ledger.header import Head, Header, decode_header
from ledger.rejection import Rejection
from node.home.store_base import Base, StoreUnusable, read_base


def final_heads(stored: StoreReader, genesis: Genesis) -> tuple[Head, ...]:
    """The heads of the store's last final block, of genesis if there is none.

    Raises: StoreUnusable where the store is another chain's.
    """
    height = stored.last_height()
    if height == 0:
        return genesis.empty_heads()
    first = final_header(stored, genesis, 1)
    if first.height == 1 and first.parent_digest != genesis.digest:
        raise StoreUnusable(
            "The store was filled by another chain: its first block does not continue this genesis.json. Put the "
            "right genesis.json or the right store into the home; `momus init` makes a new home."
        )
    return final_header(stored, genesis, height).heads


def final_time_ms(stored: StoreReader, genesis: Genesis) -> int:
    """The time of the store's last final block; 0 without one. Raises: StoreUnusable."""
    height = stored.last_height()
    return final_header(stored, genesis, height).time_ms if height else 0


def sources(stored: StoreReader, genesis: Genesis, heads: Sequence[Head]) -> list[Source]:
    """For each partition, where the incarnation of its final head lies. Raises: StoreUnusable."""
    return sources_above(stored, genesis, heads, read_base(stored.directory, genesis))


def sources_above(stored: StoreReader, genesis: Genesis, heads: Sequence[Head], base: Base | None) -> list[Source]:
    """As `sources`, of a store whose base is known. Raises: StoreUnusable."""
    return [_source(stored, genesis, head, base) for head in heads]


def final_header(stored: StoreReader, genesis: Genesis, height: int) -> Header:
    """The stored header at `height`, or the first one above. Raises: StoreUnusable."""
    header = decode_header(stored.final_after(height - 1, 1)[0].header_bytes, genesis.partitions)
    if isinstance(header, Rejection):
        raise StoreUnusable(f"The store's header {height} is malformed: {header.detail}. Restore the store.")
    return header


def _source(stored: StoreReader, genesis: Genesis, head: Head, base: Base | None) -> Source:
    """Incarnations never fall from block to block, so bisection finds the block that opened this one."""
    if head.incarnation == 0:
        return Source(genesis.topic_id)
    if base is not None and base.incarnations[head.partition] == head.incarnation:
        return base.sources[head.partition]
    low, high = 1 if base is None else base.height, stored.last_height()
    while low < high:
        middle = (low + high) // 2
        is_before = final_header(stored, genesis, middle).heads[head.partition].incarnation < head.incarnation
        low, high = (middle + 1, high) if is_before else (low, middle)
    openings = final_header(stored, genesis, low).openings
    opening = next((opening for opening in openings if opening.partition == head.partition), None)
    if opening is None or opening.incarnation != head.incarnation:
        raise StoreUnusable(
            f"The store does not hold the block that opened incarnation {head.incarnation} of partition "
            f"{head.partition}. Restore the store."
        )
    return Source(opening.topic_id, opening.from_offset)


def gap_above(stored: StoreReader, height: int) -> int | None:
    """Where the store begins, if that is not right above a height of a database but further up; None: no gap."""
    found = stored.final_after(height, 1)
    return found[0].height if found and found[0].height > height + 1 else None


def height_at(store: Path, genesis: Genesis, time_ms: int) -> int:
    """The height of the last block whose time is at most `time_ms`. Raises: StoreUnusable where there is none."""
    with StoreReader(store) as stored:
        low, high = 0, stored.last_height()
        while low < high:
            middle = (low + high + 1) // 2
            is_later = final_header(stored, genesis, middle).time_ms > time_ms
            low, high = (low, middle - 1) if is_later else (middle, high)
        first = stored.final_after(0, 1)
    if low == 0:
        begins = (
            f" of those that are left: the store was pruned up to height {first[0].height}" if _is_late(first) else ""
        )
        raise StoreUnusable(f"No block is as old as {time_ms} ms since 1970{begins}.")
    return low


def _is_late(first: Sequence[StoredFinal]) -> bool:
    return bool(first) and first[0].height > 1


def header_bytes_at(store: Path, height: int) -> bytes | None:
    """The header of a final block, where the store in this folder still has it."""
    with StoreReader(store) as reader:
        return next((final.header_bytes for final in reader.final_after(height - 1, 1) if final.height == height), None)
