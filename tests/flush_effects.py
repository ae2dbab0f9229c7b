"""Effects made by hand, for the tests of what the database does with them."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ledger.commands import Ownership
from ledger.header import Epoch, Head
from ledger.rejection import Reason
from ledger.state import (
    BALANCE,
    TRANSFER,
    Asset,
    BlockRow,
    Cursor,
    Effects,
    MoveKind,
    ObjectVersionRow,
    RejectionRow,
    TransactionRow,
)
from tests.whole_objects import Whole, made

ZEROS = bytes(32)


def name(text: str) -> bytes:
    """32 bytes that stand for an id."""
    return sha256(text.encode()).digest()


COIN, ALICE, BOB, CAROL, THING = (name(text) for text in ("coin", "alice", "bob", "carol", "thing"))
TRAILING_ZEROS = b"\x07" + bytes(31)
TIME_MS = 1_700_000_000_000


def heads_at(height: int) -> tuple[Head, ...]:
    """Two partitions; the offsets grow with the height."""
    return tuple(Head(p, 0, height * 10 + p, name(f"chain {p} {height}")) for p in range(2))


def cursor_at(height: int) -> Cursor:
    """Where a database is after `height`."""
    return Cursor(
        name("genesis"),
        "tests",
        "cluster",
        "topic-id",
        1,
        height,
        name(f"block {height}"),
        TIME_MS + height * 1000,
        heads_at(height),
    )


def block_row(height: int) -> BlockRow:
    """The row of a block."""
    digest, parent = name(f"block {height}"), name(f"block {height - 1}")
    return BlockRow(
        height, digest, parent, Epoch(0), height + 1, 0, TIME_MS + height * 1000, heads_at(height), 3, 2, 2, 1
    )


def transaction_row(height: int, index: int = 0, reference: bytes = b"") -> TransactionRow:
    """The row of a transaction of Alice; its digest is `name("transaction HEIGHT INDEX")`."""
    digest = name(f"transaction {height} {index}")
    return TransactionRow(height, index, 0, height * 10 + index, 0, digest, ALICE, reference, TIME_MS + 3_600_000, 1)


def rejection_row(height: int, index: int = 0, reason: Reason = Reason.INSUFFICIENT_BALANCE) -> RejectionRow:
    """The row of a rejected transaction of Bob; its digest is `name("rejected HEIGHT INDEX")`."""
    digest = name(f"rejected {height} {index}")
    return RejectionRow(height, index, 1, height * 10 + index, 3, int(reason), digest, BOB, b"\xff\xfe")


def transfers(*rows: tuple[int, int, bytes, bytes, int], kind: MoveKind = MoveKind.TRANSFER) -> NDArray[Any]:
    """(height, index, sender, recipient, amount) of the coin."""
    return np.array([(height, index, 0, COIN, a, b, kind, amount) for height, index, a, b, amount in rows], TRANSFER)


def balances(*rows: tuple[bytes, int]) -> NDArray[Any]:
    """(address, amount) of the coin."""
    return np.array([(COIN, address, amount) for address, amount in rows], BALANCE)


def coin(supply: int = 1000, decimals: int = 2, title: str = "coin") -> Asset:
    """The asset that the other helpers move."""
    return Asset(COIN, title, decimals, ALICE, supply)


def thing(version: int = 1, content: bytes = b"{}", media_type: str = "application/json") -> Whole:
    """An object of Alice."""
    return Whole(THING, version, Ownership.ADDRESS, ALICE, (), "note", media_type, content)


def written(height: int, item: Whole, index: int = 0, deleted: bool = False) -> ObjectVersionRow:
    """One write as history."""
    return ObjectVersionRow(height, index, 0, item.narrow, deleted)


def nothing() -> Effects:
    """Effects without any row."""
    none = np.zeros(0, BALANCE)
    empty: tuple[Any, ...] = ()
    rows = (empty, empty, empty, np.zeros(0, TRANSFER), empty, empty, empty, empty)
    return Effects(*rows, none, none, none, *(empty,) * 5, empty, {}, 0)


def first() -> Effects:
    """Height 1: a coin, a thing, and two holders of the coin."""
    rows = replace(
        nothing(),
        blocks=(block_row(1),),
        transactions=(transaction_row(1, 0, b"invoice 7"), transaction_row(1, 1)),
        rejections=(rejection_row(1),),
        transfers=np.concatenate(
            [
                transfers((1, 0, ZEROS, ALICE, 1000), kind=MoveKind.MINT),
                transfers((1, 1, ALICE, TRAILING_ZEROS, 400)),
            ]
        ),
        object_versions=(written(1, thing()),),
        balances_inserted=balances((ALICE, 600), (TRAILING_ZEROS, 400)),
        assets_inserted=(coin(),),
        remembered=((100, name("transaction 1 0"), 1, 0), (101, name("transaction 1 1"), 1, 0)),
        buckets={100: (1, name("hash 100")), 101: (1, name("hash 101"))},
    )
    return made(rows, thing())


def second() -> Effects:
    """Height 2, which changes everything that `first` made."""
    return replace(
        nothing(),
        blocks=(block_row(2),),
        transactions=(transaction_row(2),),
        transfers=np.concatenate(
            [
                transfers((2, 0, ALICE, BOB, 600)),
                transfers((2, 1, TRAILING_ZEROS, ZEROS, 100), kind=MoveKind.BURN),
            ]
        ),
        object_versions=(written(2, replace(thing(2), content_version=1), deleted=True),),
        balances_inserted=balances((BOB, 600)),
        balances_updated=balances((TRAILING_ZEROS, 300)),
        balances_deleted=balances((ALICE, 0)),
        assets_updated=(coin(900),),
        objects_deleted=(THING,),
        remembered=((101, name("transaction 2 0"), 2, 1),),
        buckets={101: (2, name("hash 101 again"))},
        buckets_expired_below=101,
    )


def joined(a: Effects, b: Effects) -> Effects:
    """`first` and `second` as one group, as execution would give them."""
    return replace(
        b,
        blocks=a.blocks + b.blocks,
        transactions=a.transactions + b.transactions,
        rejections=a.rejections + b.rejections,
        transfers=np.concatenate([a.transfers, b.transfers]),
        object_versions=a.object_versions + b.object_versions,
        object_contents=a.object_contents + b.object_contents,
        object_types=a.object_types + b.object_types,
        balances_inserted=balances((BOB, 600), (TRAILING_ZEROS, 300)),
        balances_updated=balances(),
        balances_deleted=balances(),
        assets_inserted=b.assets_updated,
        assets_updated=(),
        objects_deleted=(),
        remembered=a.remembered[1:] + b.remembered,
        buckets={101: b.buckets[101]},
    )
