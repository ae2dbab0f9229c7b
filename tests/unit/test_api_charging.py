"""What each kind of work costs the rate of who asks for it, by a clock that the test turns."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from api.reading.proving import Prover
from api.routes.health import Readiness
from api.routes.stream import Streaming
from api.submission.working import SLICE, WAITING_MAX, Workers
from node.home.layout import Home
from node.settings.tree import Settings
from node.supervision.health import Health
from node.supervision.verdict import Finding
from serving import charging
from serving.bounds import Bounds
from serving.charging import PIECE_BYTES, PROOF, QUERY_S, Charge, Rate, charged, querying
from serving.limits import payer
from serving.problems import Problem

BURST = 1_000


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def cost_of(endpoint: Callable[[Request], Awaitable[Response]], content: Any = b"", **headers: str) -> float:
    """Tokens that one request of an endpoint takes."""
    rate = Rate(1e-9, BURST, Clock())
    routes = [Route("/", endpoint, methods=["POST"]), Route("/healthz", endpoint, methods=["POST"])]
    app = Bounds(Starlette(routes=routes), rate)

    async def ask() -> None:
        transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://node") as client:
            await client.post("/", content=content, headers=headers)

    asyncio.run(ask())
    return BURST - rate._tokens("192.0.2.1")


async def whole(request: Request) -> Response:
    return Response(str(len(await request.body())))


async def in_parts() -> AsyncIterator[bytes]:
    for _ in range(10):
        yield bytes(PIECE_BYTES)


async def large(request: Request) -> Response:
    return Response(bytes(10 * PIECE_BYTES))


async def streamed(request: Request) -> Response:
    return StreamingResponse(in_parts())


@pytest.mark.parametrize(
    ("endpoint", "content", "tokens"),
    [
        (whole, b"", 1),
        (whole, bytes(PIECE_BYTES), 1),
        (whole, bytes(10 * PIECE_BYTES), 10),
        (whole, None, 10),
        (large, b"", 10),
        (streamed, b"", 10),
    ],
)
def test_what_comes_in_and_what_goes_out_is_charged_by_its_size(endpoint: Any, content: Any, tokens: int) -> None:
    """None: a body in parts, whose length is not said."""
    assert cost_of(endpoint, in_parts() if content is None else content) == pytest.approx(tokens)


def test_time_of_the_database_and_proofs_are_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr(charging, "time", SimpleNamespace(monotonic=clock))
    nobody: Any = None

    async def slow(request: Request) -> Response:
        with querying():
            clock.now += 20.5 * QUERY_S
        return Response()

    async def quick(request: Request) -> Response:
        with querying():
            clock.now += QUERY_S / 2
        return Response()

    async def proof(request: Request) -> Response:
        prover = Prover(nobody, nobody, nobody, _waiting=1_000)
        with suppress(Problem):
            await prover.prove(b"")
        return Response()

    found = [cost_of(endpoint) for endpoint in (slow, quick, proof)]
    assert found == pytest.approx([21, 1, 1 + PROOF], abs=1e-3)


def test_who_owes_is_refused_until_it_is_paid_and_no_cost_is_too_large_to_be_paid() -> None:
    clock = Clock()
    charge = Charge(Rate(10, 5, clock), "a")
    charge.begin()
    charge.take(104)
    for refused in (charge.begin, lambda: charge.take(1)):
        with pytest.raises(Problem) as told:
            refused()
        assert told.value.code == "rate_limited"
        assert int(told.value.headers["Retry-After"]) >= 10
    charge.take(0)
    clock.now += 10.2
    charge.begin()


def test_nothing_is_charged_where_there_is_no_request() -> None:
    charging.take(10**9)
    charging.owe(10**9)
    charge = Charge(Rate(1, 1, Clock()), "a")
    with charged(charge):
        charging.owe(3)
    assert charge.rate.owes_s("a") == 2


def test_an_answer_in_parts_waits_while_it_is_owed_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    slept: list[float] = []

    async def turned(seconds: float) -> None:
        slept.append(seconds)
        clock.now += seconds

    monkeypatch.setattr(charging, "asyncio", SimpleNamespace(sleep=turned))
    charge = Charge(Rate(2, 1, clock), "a")
    charge.owe(7)
    asyncio.run(charge.settle())
    assert slept == [3.0]


def test_one_caller_has_three_quarters_of_the_streams() -> None:
    class Reached(Exception):
        pass

    def view() -> None:
        raise Reached

    nobody: Any = None
    database: Any = SimpleNamespace(view=view)
    streaming = Streaming(database, nobody, 4, 1.0, lambda: False, {("a", number) for number in range(3)})
    for address, told in (("a", Problem), ("b", Reached)):
        with charged(Charge(Rate(1, 1, Clock()), address)), pytest.raises(told):
            asyncio.run(streaming.response(nobody))
    assert len(streaming.open) == 3


@pytest.mark.parametrize(
    ("addresses", "who"),
    [
        (["192.0.2.1", "::ffff:192.0.2.1"], "192.0.2.1"),
        (["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff"], "2001:db8:1:2::"),
        (["fe80::1%eth0"], "fe80::"),
        ([""], ""),
    ],
)
def test_a_network_of_ipv6_is_one_caller(addresses: list[str], who: str) -> None:
    """Whoever has one address of it has two to the sixty-fourth."""
    assert {payer(address) for address in addresses} == {who}


def test_a_small_work_is_done_by_turns_with_a_large_one() -> None:
    done: list[int] = []

    async def both() -> None:
        workers = Workers()
        await asyncio.gather(workers.each(done.append, range(1, 10 * SLICE)), workers.each(done.append, [0]))

    asyncio.run(both())
    assert done.index(0) == SLICE


def test_more_than_can_wait_is_refused() -> None:
    async def ask() -> None:
        await Workers().each(lambda item: item, range(WAITING_MAX + 1))

    with pytest.raises(Problem) as told:
        asyncio.run(ask())
    assert told.value.code == "back_pressure"


def test_readiness_is_looked_at_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = []
    nobody: Any = SimpleNamespace()
    unwell = Health((Finding("database", "The database has not answered for 7 s"),))

    def look(home: Home, settings: Settings, is_public: bool) -> Health:
        looks.append(is_public)
        return unwell

    monkeypatch.setattr("api.routes.health.health_of", look)
    readiness = Readiness(nobody, nobody)

    async def ask() -> None:
        found = await asyncio.gather(*(readiness.health() for _ in range(500)))
        assert set(found) == {unwell}

    asyncio.run(ask())
    assert looks == [True], "once, in words for everybody"
