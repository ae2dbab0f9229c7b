"""How many records blocks have ordered. End offsets alone do not say: where a partition was opened anew they are used
twice, so that those of two heights may only be subtracted with what was opened in between.
"""

from collections.abc import Iterator, Sequence

from backbone.store import StoreReader
from ledger.genesis import Genesis
from ledger.header import Head, Header
from node.home.final_heads import final_header
from node.home.progress import records_of


def records_between(before: Sequence[Head], after: Sequence[Head]) -> int:
    """What one block orders beyond its parent; control records count too, an opening adds nothing."""
    pairs = zip(before, after, strict=True)
    return sum(new.end_offset - old.end_offset for old, new in pairs if new.incarnation == old.incarnation)


class Ordered:
    """Counts what a store's final blocks have ordered. One thread tells of final blocks, any may ask."""

    def __init__(self, stored: StoreReader, genesis: Genesis, from_height: int = 0) -> None:
        """Counts of heights from `from_height` on, as far as the store begins below, may be subtracted.

        Raises: StoreUnusable, StoreDamaged.
        """
        height = stored.last_height()
        self._heads: Sequence[Head] = genesis.empty_heads()
        self._height = height
        self._used_twice: tuple[tuple[int, int], ...] = ()
        """(height of a block that opens, how many offsets below its parent's ends it begins with again)."""
        if height:
            first = genesis.empty_heads() if from_height == 0 else final_header(stored, genesis, from_height).heads
            self._heads = final_header(stored, genesis, height).heads
            found = _openings(stored, genesis, (from_height, first), (height, self._heads))
            self._used_twice = tuple(found)

    def on_final(self, header: Header) -> None:
        """The next final block."""
        opened = records_between(self._heads, header.heads) - records_of(header.heads) + records_of(self._heads)
        if opened:
            self._used_twice = (*self._used_twice, (header.height, opened))
        self._height, self._heads = header.height, header.heads

    def count(self, height: int, records: int) -> int:
        """What was ordered up to a height, whose heads' `records_of` is `records`."""
        return records + sum(again for at, again in self._used_twice if at <= height)

    def total(self) -> int:
        """What was ordered up to the last final block."""
        heads, used_twice = self._heads, self._used_twice
        return records_of(heads) + sum(again for _, again in used_twice)


_At = tuple[int, Sequence[Head]]
"""Height and heads of a block."""


def _openings(stored: StoreReader, genesis: Genesis, low: _At, high: _At) -> Iterator[tuple[int, int]]:
    """Of the blocks above one and up to another; by bisection, since incarnations never fall."""
    if [head.incarnation for head in low[1]] == [head.incarnation for head in high[1]]:
        return
    if high[0] - low[0] <= 1:
        yield high[0], records_between(low[1], high[1]) - records_of(high[1]) + records_of(low[1])
        return
    header = final_header(stored, genesis, (low[0] + high[0]) // 2)
    if header.height >= high[0]:
        # The store was pruned above the middle.
        yield high[0], records_between(low[1], high[1]) - records_of(high[1]) + records_of(low[1])
        return
    middle = (header.height, header.heads)
    yield from _openings(stored, genesis, low, middle)
    yield from _openings(stored, genesis, middle, high)
