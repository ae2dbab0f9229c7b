"""What a caller's work does to others: nothing of it is done on the event loop, and health is answered meanwhile."""

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

import ingest.verdicts
import ledger.keys
from api.routes.health import health_router
from api.routes.submit import submit_router
from api.submission.intake import Intake
from ledger.commands import CreateAsset
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, sign_body
from serving.charging import Rate
from serving.handlers import with_bounds
from tests.builders import genesis, record
from tests.patience import WAIT_S

GENESIS = genesis(1)
KEY = PrivateKey.generate()
BATCH = 200


def app_of(rate_per_s: float = 10**6, burst: int = 10**6) -> FastAPI:
    sender: Any = SimpleNamespace(send=lambda _: SimpleNamespace(place=None, final_height=None, refusal=None))
    nobody: Any = None
    app = FastAPI()
    app.include_router(submit_router(GENESIS, Intake(GENESIS, sender, nobody, lambda: None), nobody))
    app.include_router(health_router(nobody))
    with_bounds(app, Rate(rate_per_s, burst))
    return app


def transactions(count: int) -> list[Transaction]:
    body = Body(bytes(16), time.time_ns() // 1_000_000 + 60_000, b"", (CreateAsset("a", 0, KEY.address),))
    good = sign_body(KEY, GENESIS.digest, body)
    return [good] * (count - 1) + [Transaction(good.body, good.public_key, bytes(64))]


def batch(count: int = BATCH) -> dict[str, Any]:
    """Of which the last signature is bad: all others are verified for nothing."""
    content = record(*transactions(count))
    return {"url": "/batches", "content": content, "headers": {"content-type": "application/avro"}}


def document(count: int = BATCH) -> dict[str, Any]:
    return {
        "url": "/batches",
        "json": {
            "transactions": [
                {"body": each.body.hex(), "public_key": each.public_key.hex(), "signature": each.signature.hex()}
                for each in transactions(count)
            ]
        },
    }


def client_of(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node", timeout=WAIT_S)


@pytest.mark.parametrize("given", [batch, document])
def test_no_signature_is_verified_on_the_event_loop(monkeypatch: pytest.MonkeyPatch, given: Any) -> None:
    threads: list[int] = []
    verify = ledger.keys.verify

    def counted(*message: bytes) -> bool:
        threads.append(threading.get_ident())
        return verify(*message)

    monkeypatch.setattr(ingest.verdicts, "verify", counted)

    async def ask() -> httpx.Response:
        async with client_of(app_of()) as client:
            return await client.post(**given())

    assert asyncio.run(ask()).json()["code"] == "rejected"
    assert len(threads) == BATCH
    assert threads.count(threading.get_ident()) == 0


def test_health_is_answered_while_signatures_are_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    answered, gave_up = threading.Event(), threading.Event()

    def held(*_: bytes) -> bool:
        if not answered.wait(WAIT_S):
            gave_up.set()
            answered.set()
        return False

    monkeypatch.setattr(ingest.verdicts, "verify", held)

    async def ask() -> None:
        async with client_of(app_of()) as client:
            posted = [asyncio.create_task(client.post(**batch())) for _ in range(8)]
            await asyncio.sleep(0)
            assert (await client.get("/healthz")).json() == {"alive": True}
            answered.set()
            await asyncio.gather(*posted)

    asyncio.run(ask())
    assert not gave_up.is_set(), "health waited for the verification"


def test_a_batch_is_charged_by_its_transactions() -> None:
    async def ask() -> list[int]:
        async with client_of(app_of(rate_per_s=0.001, burst=BATCH)) as client:
            answers = [await client.post(**batch()), await client.post(**batch()), await client.post(**batch())]
            return [answer.status_code for answer in answers]

    assert asyncio.run(ask()) == [422, 429, 429]
