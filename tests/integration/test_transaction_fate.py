"""Rejected is said of a transaction only where it can never execute: by API, command line and client alike."""

import asyncio
from dataclasses import replace

import psycopg
import pytest

from api.reading import transactions as api
from api.reading.database import Database as ApiDatabase
from client.database import Executed as ClientExecuted
from client.database import Rejected as ClientRejected
from client.database import outcome
from ledger.rejection import Reason
from ledger.state import RejectionRow
from projections.database import Database
from projections.lookup import Executed, Fate, Pending, Rejected, transaction_fate
from projections.maintenance.migrate import migrate
from tests.flush_effects import block_row, cursor_at, name, nothing, transaction_row

pytestmark = pytest.mark.postgres

OF_THE_RECORD = (Reason.BAD_SIGNATURE, Reason.TOO_FAR_AHEAD)
CONCLUSIVE = (Reason.EXPIRED, Reason.WEAK_KEY, Reason.MALFORMED, Reason.STALE_VERSION, Reason.INSUFFICIENT_BALANCE)


def _digest(reason: Reason) -> bytes:
    return name(f"of {reason.name}")


def _rejections(height: int, *rows: tuple[Reason, bytes]) -> tuple[RejectionRow, ...]:
    return tuple(
        RejectionRow(height, index, 0, index, 0, int(reason), digest, name("signer"), b"")
        for index, (reason, digest) in enumerate(rows)
    )


def _api_states(url: str, digests: list[bytes]) -> list[tuple[str, int | None]]:
    async def ask() -> list[tuple[str, int | None]]:
        database = ApiDatabase(url, connections=1, statement_ms=10_000)
        await database.open()
        try:
            async with database.view() as view:
                found = [await api.transaction_of(view, digest.hex()) for digest in digests]
        finally:
            await database.close()
        return [("none", None) if each is None else (each.state, each.height) for each in found]

    return asyncio.run(ask())


def _fates(url: str, digests: list[bytes]) -> list[Fate | None]:
    with psycopg.connect(url, autocommit=True) as connection:
        return [transaction_fate(connection, digest) for digest in digests]


def _client(url: str, digests: list[bytes]) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        found = [outcome(connection, digest) for digest in digests]
    words = {ClientExecuted: "executed", ClientRejected: "rejected", type(None): "none"}
    return [words[type(each)] for each in found]


def test_a_rejection_that_does_not_consume_the_digest_is_not_the_end_of_the_transaction(postgres_url: str) -> None:
    migrate(postgres_url)
    digests = [_digest(reason) for reason in (*OF_THE_RECORD, *CONCLUSIVE)]
    only_again = name("came again, and the first row is pruned")
    first = replace(
        nothing(),
        blocks=(block_row(1),),
        rejections=_rejections(
            1, *((reason, _digest(reason)) for reason in (*OF_THE_RECORD, *CONCLUSIVE)), (Reason.DUPLICATE, only_again)
        ),
    )
    with Database(postgres_url) as database:
        database.initialise(cursor_at(0))
        database.flush(first, 0, cursor_at(1))
        assert _fates(postgres_url, digests) == [
            *(Pending(1, reason) for reason in OF_THE_RECORD),
            *(Rejected(1, reason) for reason in CONCLUSIVE),
        ]
        assert _api_states(postgres_url, digests) == [("pending", None)] * 2 + [("rejected", 1)] * 5
        assert _client(postgres_url, digests) == ["none"] * 2 + ["rejected"] * 5
        assert _api_states(postgres_url, [only_again]) == [("none", None)]
        assert _fates(postgres_url, [only_again]) == [None]
        assert _client(postgres_url, [only_again]) == ["none"]

        # The good record comes a block later: one executes, the other has no effect.
        executes, fails = (_digest(reason) for reason in OF_THE_RECORD)
        second = replace(
            nothing(),
            blocks=(block_row(2),),
            transactions=(replace(transaction_row(2), digest=executes),),
            rejections=_rejections(2, (Reason.DUPLICATE, fails), (Reason.UNKNOWN_ASSET, fails)),
            remembered=((100, executes, 2, 0), (100, fails, 2, 0)),
            buckets={100: (1, name("hash"))},
        )
        database.flush(second, 1, cursor_at(2))
    both = [executes, fails]
    executed, rejected = _fates(postgres_url, both)
    assert isinstance(executed, Executed)
    assert rejected == Rejected(2, Reason.UNKNOWN_ASSET)
    assert _api_states(postgres_url, both) == [("executed", 2), ("rejected", 2)]
    assert _client(postgres_url, both) == ["executed", "rejected"]
