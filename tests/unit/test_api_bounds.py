"""What an address may cost the API, by a clock that the test turns."""

import asyncio
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from serving.bounds import HEAD_BYTES_MAX, Bounds
from serving.charging import ADDRESSES_MAX, Rate
from serving.problems import Problem


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


async def echo(request: Request) -> PlainTextResponse:
    return PlainTextResponse(str(len(await request.body())))


async def told(request: Request, problem: Exception) -> Response:
    """As the application does: what stops a body is raised where the body is read."""
    assert isinstance(problem, Problem)
    return problem.response()


def answers(rate: Rate, requests: list[dict[str, Any]], body_bytes_max: int = 100) -> list[httpx.Response]:
    routes = [Route("/", echo, methods=["GET", "POST"]), Route("/healthz", echo)]
    app = Bounds(Starlette(routes=routes, exception_handlers={Problem: told}), rate, body_bytes_max, 5.0)

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


def test_bodies_and_heads_beyond_their_bounds_are_refused() -> None:
    async def parts() -> Any:
        for _ in range(11):
            yield bytes(10)

    given = answers(
        Rate(100, 100, Clock()),
        [
            {"method": "POST", "content": bytes(100)},
            {"method": "POST", "content": bytes(101)},
            {"method": "POST", "content": parts()},
            {"headers": {"X": "y" * HEAD_BYTES_MAX}},
        ],
    )
    assert [each.status_code for each in given] == [200, 413, 413, 431]
    assert given[0].headers["X-Content-Type-Options"] == "nosniff"
