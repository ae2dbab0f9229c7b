"""A feed of effects over rows that are there: how much it reads at once."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from api.reading import streams
from api.reading.streams import TRANSFERS_MAX, EffectFeed, StreamPosition
from api.reading.transactions import TRANSFERS_MAX as SHOWN_MAX

ID = "0" * 64
TIME = datetime(2026, 1, 1, tzinfo=UTC)
PLACE = {"partition": 0, "offset": 0, "item": 0}


def executed(height: int, index: int) -> dict[str, Any]:
    text = {"digest": f"{height:032x}{index:032x}", "signer": ID, "reference": "", "reference_hex": ""}
    return {"height": height, "index": index, **text, "commands": 1, "time": TIME, "expires_at": TIME, **PLACE}


def transfer(height: int, index: int, transaction: int) -> dict[str, Any]:
    who = {
        "kind": "mint",
        "asset": ID,
        "sender": None,
        "recipient": ID,
        "amount": 1,
        "decimal_amount": None,
        "time": TIME,
    }
    return {"height": height, "index": index, "transaction": transaction, **who}


class Rows:
    """Answers the queries of a feed, and counts the transfers that it asks for."""

    def __init__(self, executed: Sequence[dict[str, Any]], transfers: Sequence[dict[str, Any]]) -> None:
        self.asked = 0
        self._tables = {id(streams._EXECUTED): executed, id(streams._TRANSFERS): transfers}

    async def rows(self, statement: object, parameters: Sequence[Any]) -> list[dict[str, Any]]:
        if statement is streams._OBJECTS:
            return []
        self.asked += statement is streams._TRANSFERS
        height, index, _, limit = parameters
        table = self._tables.get(id(statement), [])
        return [row for row in table if (row["height"], row["index"]) > (height, index)][:limit]


def read_all(feed: EffectFeed, rows: Rows) -> list[list[tuple[str, int]]]:
    """(id, transfers) of each event, reading by reading."""
    found = []
    while events := asyncio.run(feed.read(rows)):  # type: ignore[arg-type]
        found.append([(event.id, len(event.content.transfers)) for event in events])  # type: ignore[attr-defined]
    return found


def test_large_transactions_come_a_few_at_a_time_and_each_with_all_its_transfers() -> None:
    each = 2 * TRANSFERS_MAX // 5
    many = [transfer(1, number, number // each) for number in range(5 * each)]
    few = [transfer(2, 0, 1)]
    rows = Rows([executed(1, number) for number in range(5)] + [executed(2, number) for number in range(3)], many + few)
    assert read_all(EffectFeed(StreamPosition(0, 1, 0)), rows) == [
        [("1-0-0", each), ("1-0-1", each), ("1-0-2", each)],
        [("1-0-3", each), ("1-0-4", each), ("2-0-0", 0), ("2-0-1", 1), ("2-0-2", 0)],
    ]


def test_of_a_transaction_as_many_transfers_are_held_and_given_as_one_shows() -> None:
    """One record may have 100,000: as many streams as are open would hold them all, each for its reader."""
    each = 3 * TRANSFERS_MAX
    rows = Rows([executed(1, 0), executed(1, 1)], [transfer(1, n, n // each) for n in range(2 * each)])
    feed = EffectFeed(StreamPosition(0, 1, 0))
    for index in range(2):
        (event,) = asyncio.run(feed.read(rows))  # type: ignore[arg-type]
        assert (event.id, len(event.content.transfers)) == (f"1-0-{index}", SHOWN_MAX)  # type: ignore[attr-defined]
        assert event.content.transfers_left_out  # type: ignore[attr-defined]
    assert asyncio.run(feed.read(rows)) == []  # type: ignore[arg-type]
    assert rows.asked == 2 * each // TRANSFERS_MAX + 2, "a large transaction was gone through again and again"


@pytest.mark.parametrize(("count", "left_out"), [(SHOWN_MAX - 1, False), (SHOWN_MAX, False), (SHOWN_MAX + 1, True)])
def test_what_is_left_out_is_said(count: int, left_out: bool) -> None:
    rows = Rows([executed(1, 0)], [transfer(1, n, 0) for n in range(count)])
    (event,) = asyncio.run(EffectFeed(StreamPosition(0, 1, 0)).read(rows))  # type: ignore[arg-type]
    assert len(event.content.transfers) == min(count, SHOWN_MAX)  # type: ignore[attr-defined]
    assert event.content.transfers_left_out is left_out  # type: ignore[attr-defined]
