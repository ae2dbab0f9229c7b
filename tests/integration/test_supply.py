"""What was minted less what was burned is the supply, in SQL and in effects, and history adds up to what everybody
holds: over random ledgers, in which the address of zeros is paid and minted to like any other."""

import asyncio
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from api.effects.record import encode_effect
from api.reading.database import View
from api.reading.streams import EffectFeed, StreamPosition
from ledger.encoding.codec import Codec
from tests.random_ledger import ZEROS
from tests.snapshots import small_chain

pytestmark = pytest.mark.postgres

PAGE = Path(__file__).parents[2] / "docs" / "sql.md"


def _of_page(title: str) -> str:
    """The query under a sentence of docs/sql.md, for psycopg."""
    found = re.search(re.escape(title) + r"\n\n```sql\n(.*?);\n```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return re.sub(r":'?(\w+)'?", r"%(\1)s", found[1])


def _supply_of_page(connection: psycopg.Connection[Any], asset: str) -> int:
    query = _of_page("How a supply came about, mint by mint and burn by burn:")
    rows = connection.execute(query.encode(), {"asset": asset}).fetchall()
    return int(rows[0]["supply"].scaleb(2)) if rows else 0


async def _effects(url: str) -> list[dict[str, Any]]:
    """What the effects topic holds of it, as consumers read it."""
    codec, found = Codec("Effect", "api"), []
    async with await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=dict_row) as connection:
        feed, view = EffectFeed(StreamPosition(0, 1, 0)), View(connection, 0)
        while events := await feed.read(view):
            found += [codec.decode_single(encode_effect(event, bytes(32))[1], 1 << 20) for event in events]
    return found  # type: ignore[return-value]


@pytest.mark.parametrize("seed", [11, 12, 13])
def test_mints_less_burns_are_the_supply_and_history_adds_up_to_balances(
    tmp_path: Path, postgres_url: str, seed: int
) -> None:
    small_chain(tmp_path, blocks=6, drawn=150, seed=seed).execute(postgres_url)
    moves = [move for effect in asyncio.run(_effects(postgres_url)) for move in effect["transfers"]]
    with psycopg.connect(postgres_url, autocommit=True, row_factory=dict_row) as connection:
        assets = connection.execute("select asset, supply from api.assets").fetchall()
        for row in assets:
            asset, mine = row["asset"], [move for move in moves if move["asset"].hex() == row["asset"]]
            minted = sum(move["amount"] for move in mine if move["sender"] is None)
            burned = sum(move["amount"] for move in mine if move["recipient"] is None)
            assert minted - burned == row["supply"], "effects"
            assert _supply_of_page(connection, asset) == row["supply"], "SQL"
        balances = connection.execute("select address, asset, amount from api.balances").fetchall()
        held = _of_page("What an address held after a block, worked out from history:")
        for balance in balances:
            found = connection.execute(held.encode(), {**balance, "height": 2**62}).fetchone()
            assert found is not None
            assert found["amount"] == balance["amount"]
        kinds = connection.execute("select kind, count(*) as n from api.transfers group by kind").fetchall()
    assert ZEROS.hex() in {balance["address"] for balance in balances}
    assert {row["kind"] for row in kinds} == {"transfer", "mint", "burn"}
    told = {(move["kind"], move["sender"] is None, move["recipient"] is None) for move in moves}
    assert told == {("transfer", False, False), ("mint", True, False), ("burn", False, True)}
