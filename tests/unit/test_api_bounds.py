"""What an address may cost the API, by a clock that the test turns."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from serving.bounds import Bounds
from serving.charging import ADDRESSES_MAX, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


def answers(rate: Rate, requests: list[dict[str, Any]]) -> list[httpx.Response]:
    routes = [Route("/", echo, methods=["GET", "POST"]), Route("/healthz", echo)]
    app = Bounds(Starlette(routes=routes), rate)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
            return [await client.request(**{"method": "GET", "url": "/", **request}) for request in requests]

    return asyncio.run(ask())


def test_a_burst_is_let_through_and_then_so_many_a_second() -> None:
    clock = Clock()
    rate = Rate(10, 5, clock)
    assert [rate.takes("a") for _ in range(7)] == [True] * 5 + [False] * 2
    clock.now += 0.25
    assert [rate.takes("a") for _ in range(4)] == [True, True, False, False]
    clock.now += 1_000
    assert [rate.takes("a") for _ in range(6)] == [True] * 5 + [False]


def test_addresses_do_not_share_a_bucket_and_their_number_is_bounded() -> None:
    rate = Rate(1, 1, Clock())
    assert rate.takes("a")
    assert not rate.takes("a")
    assert all(rate.takes(str(number)) for number in range(ADDRESSES_MAX))
    assert rate.takes("a"), "forgotten, in favour of newer ones"


def test_what_is_beyond_the_rate_is_told_when_to_come_again() -> None:
    first, second, health = answers(Rate(1, 1, Clock()), [{}, {}, {"url": "/healthz"}])
    assert (first.status_code, second.status_code, health.status_code) == (200, 429, 200)
    assert second.json()["code"] == "rate_limited"
    assert int(second.headers["Retry-After"]) >= 1
