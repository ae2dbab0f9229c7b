"""Where rows of history lie that no index leads to yet: those of heights whose partition is not closed.

A B-tree on the partition that is written costs a flush up to half its rate (docs/decisions/0036). So each flush writes
down what it adds as one *slice*, named by its first height: for each indexed column the places of the rows, sorted by
value, packed into few rows. `api.live_places` reads them. Rows of closed partitions have B-trees, and their slices go
(`projections.maintenance.partition_upkeep`).

A row has ROW_ENTRIES entries, of which those beside each other with one head are a run. The head is the first half of
the value: ids are hashes and public keys, so nobody finds another one with the head of a given one. The first KEY_BITS
bits of it are the key that entries are sorted by. ``heads``: 16 bytes a run. ``ends``: a byte a run, the entries of the
row up to its end. ``places``: ``height - slice 4 | index 4`` an entry. ``versions``, of objects alone: 4 bytes an
entry. All are big-endian.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ledger.state import Effects, MoveKind
from projections.session.connect import Connection
from projections.session.packing import copy, int2, int4, int8, pack_rows

COLUMNS: Final = (
    "transfers.sender",
    "transfers.recipient",
    "transfers.asset",
    "transactions.signer",
    "transactions.digest",
    "rejections.signer",
    "rejections.digest",
    "object_history.object",
)
"""What is indexed; a column's place here is its number in the table."""

KEY_BITS: Final = 41
ROW_ENTRIES: Final = 64
"""A row stays below the 2,000 bytes from which on Postgres would store it elsewhere."""
_PLACE_BITS: Final = 63 - KEY_BITS
ENTRIES_MAX: Final = 1 << _PLACE_BITS
"""Of a column and slice: far more than what a flush holds."""
_VERSIONED: Final = COLUMNS.index("object_history.object")
_PLACE: Final = np.dtype([("height", ">i4"), ("index", ">i4")])

Ints = NDArray[np.int64]


def write_live_index(connection: Connection, effects: Effects) -> None:
    """The slice of these effects."""
    if not effects.blocks:
        return
    columns = ((heads_of(values), places) for values, places in _columns(effects))
    write_slice(connection, effects.blocks[0].height, columns)


def write_slice(connection: Connection, slice_: int, columns: Iterable[tuple[NDArray[np.uint64], Ints]]) -> None:
    """Of each of COLUMNS the heads, and (height, index, version) of their rows; of equal heads, in order."""
    entries = 0

    def rows() -> Iterator[Sequence[bytes]]:
        nonlocal entries
        for number, (heads, places) in enumerate(columns):
            entries += len(heads)
            yield from _packed(number, slice_, heads, places)

    copy(connection, "ledger.live_index", pack_rows(rows()))
    copy(connection, "ledger.live_slices", pack_rows([(int8(slice_), int8(entries))]))


@dataclass(frozen=True, slots=True)
class PackedRows:
    """Rows of one column: of each its slice, and what it holds."""

    slices: Sequence[int]
    heads: Sequence[bytes]
    ends: Sequence[bytes]
    places: Sequence[bytes]
    versions: Sequence[bytes]

    def entries(self) -> tuple[NDArray[np.uint64], Ints]:
        """Heads and places of all entries, as `write_slice` takes them."""
        ends = np.frombuffer(b"".join(self.ends), np.uint8).astype(np.int64)
        before = np.concatenate([[0], ends[:-1]]) if len(ends) else ends
        before[np.cumsum([0, *map(len, self.ends)])[:-1]] = 0
        heads = np.frombuffer(b"".join(self.heads), np.uint64).reshape(-1, 2)
        found = np.frombuffer(b"".join(self.places), _PLACE)
        slices = np.repeat(np.array(self.slices, np.int64), [len(places) // _PLACE.itemsize for places in self.places])
        versions = np.frombuffer(b"".join(self.versions), ">i4") if any(self.versions) else np.zeros(len(found))
        places = np.stack([found["height"] + slices, found["index"], versions]).astype(np.int64)
        return np.repeat(heads, ends - before, axis=0), places


def heads_of(values: Sequence[bytes] | NDArray[Any]) -> NDArray[np.uint64]:
    """The first halves of ids of 32 bytes, each as two words in the machine's order: NumPy copies those quickest. The
    ids are a sequence of bytes, or a V32 column."""
    packed = np.ascontiguousarray(values).tobytes() if isinstance(values, np.ndarray) else b"".join(values)
    return np.frombuffer(packed, np.uint64).reshape(-1, 4)[:, :2]


def _columns(effects: Effects) -> Iterator[tuple[Sequence[bytes] | NDArray[Any], Ints]]:
    """Of each column the values, and (height, index, version) of their rows; in the order of COLUMNS."""
    transfers = effects.transfers
    places = np.stack([transfers["height"], transfers["index"], np.zeros(len(transfers), np.int64)])
    for side, missing in (("sender", MoveKind.MINT), ("recipient", MoveKind.BURN)):
        has_side = transfers["kind"] != missing
        yield (transfers[side], places) if has_side.all() else (transfers[side][has_side], places[:, has_side])
    yield transfers["asset"], places
    executed = effects.transactions
    places = _places([row.height for row in executed], [row.index for row in executed])
    yield [row.signer for row in executed], places
    yield [row.digest for row in executed], places
    for values in ([row.signer for row in effects.rejections], [row.digest for row in effects.rejections]):
        known = [(row, value) for row, value in zip(effects.rejections, values, strict=True) if value is not None]
        yield [value for _, value in known], _places([row.height for row, _ in known], [row.index for row, _ in known])
    written = effects.object_versions
    heights, transactions = [row.height for row in written], [row.transaction for row in written]
    yield [row.object.id for row in written], _places(heights, transactions, [row.object.version for row in written])


def _places(heights: Sequence[int], indexes: Sequence[int], versions: Sequence[int] = ()) -> Ints:
    return np.array([heights, indexes, versions or [0] * len(heights)], np.int64)


def _packed(number: int, slice_: int, heads: NDArray[np.uint64], places: Ints) -> Iterator[Sequence[bytes]]:
    """Sorted by key and, of equal ones, as they came: key and place in one number are sorted at once."""
    count = len(heads)
    if count == 0:
        return
    assert count < ENTRIES_MAX
    keys = (heads[:, 0].view(">u8") >> np.uint64(64 - KEY_BITS)).astype(np.int64)
    at: Ints | slice = slice(None)
    if (keys[1:] < keys[:-1]).any():
        order = (keys << _PLACE_BITS) | np.arange(count)
        order.sort()
        at, keys = order & (ENTRIES_MAX - 1), order >> _PLACE_BITS
    first, rest = heads[at, 0], heads[at, 1]
    begins = np.ones(count, np.bool_)
    begins[1:] = (first[1:] != first[:-1]) | (rest[1:] != rest[:-1])
    begins[::ROW_ENTRIES] = True
    runs = np.flatnonzero(begins)
    run_heads = np.stack([first[runs], rest[runs]], axis=1).tobytes()
    ends = (np.append(runs[1:], count) - runs // ROW_ENTRIES * ROW_ENTRIES).astype(np.uint8).tobytes()
    packed = np.empty(count, _PLACE)
    packed["height"], packed["index"] = places[0][at] - slice_, places[1][at]
    packed_places = packed.tobytes()
    versions = b""
    if number == _VERSIONED:
        versions = np.minimum(places[2][at], np.iinfo(np.int32).max).astype(">i4").tobytes()
    starts = range(0, count, ROW_ENTRIES)
    of_row = np.searchsorted(runs, [*starts, count]).tolist()
    for row, start in enumerate(starts):
        end = min(start + ROW_ENTRIES, count)
        yield (
            int2(number),
            int8(slice_),
            int4(row),
            int8(int(keys[start])),
            int8(int(keys[end - 1])),
            run_heads[16 * of_row[row] : 16 * of_row[row + 1]],
            ends[of_row[row] : of_row[row + 1]],
            packed_places[8 * start : 8 * end],
            versions[4 * start : 4 * end],
        )
