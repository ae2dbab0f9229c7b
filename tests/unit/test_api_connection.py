"""Connections that send nothing, or take nothing, against a server on a socket of this machine."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from serving.connection import TOLD_MAX, Patience, connections_with

HEAD = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
PLACES = 3
WAIT_S = 30
SOON = Patience(head_s=0.1, connections_max=PLACES, stall_s=0.1)
LATE = Patience(head_s=WAIT_S, connections_max=PLACES, stall_s=WAIT_S)

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


class Endless:
    """Answers for ever, and says when it was cut off."""

    def __init__(self) -> None:
        self.was_cut_off = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        while not self.was_cut_off.is_set():
            await send({"type": "http.response.body", "body": bytes(1 << 16), "more_body": True})
            await asyncio.sleep(0)
            try:
                async with asyncio.timeout(0):
                    if (await receive())["type"] == "http.disconnect":
                        self.was_cut_off.set()
            except TimeoutError:
                continue


async def short(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def served(app: App, patience: Patience) -> AsyncIterator[Callable[[], Awaitable[Streams]]]:
    """What connects to it."""
    config = uvicorn.Config(app, http=connections_with(patience), ws="none", lifespan="off", log_config=None)
    server = uvicorn.Server(config)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(2 * TOLD_MAX)
        serving = asyncio.create_task(server._serve([listener]))
        while not server.started:
            await asyncio.sleep(0)
        try:
            yield lambda: asyncio.open_connection(*listener.getsockname())
        finally:
            server.should_exit = server.force_exit = True
            await serving


def run(body: Awaitable[None]) -> None:
    async def bounded() -> None:
        await asyncio.wait_for(body, WAIT_S)

    asyncio.run(bounded())


@pytest.mark.parametrize("sent", [b"", HEAD[:20], HEAD + HEAD[:20]])
def test_who_sends_no_whole_head_is_let_go_and_his_place_is_free(sent: bytes) -> None:
    async def body() -> None:
        async with served(short, SOON) as connect:
            held = [await connect() for _ in range(PLACES)]
            for _, writer in held:
                writer.write(sent)
            for reader, writer in held:
                answered = await _rest(reader)
                assert answered.count(b"HTTP/1.1 200") == sent.count(b"\r\n\r\n")
                writer.close()
            reader, writer = await connect()
            writer.write(HEAD)
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            writer.close()

    run(body())


def test_who_takes_nothing_of_an_answer_is_cut_off() -> None:
    async def body() -> None:
        app = Endless()
        async with served(app, SOON) as connect:
            _, writer = await connect()
            writer.transport.pause_reading()  # type: ignore[attr-defined]
            writer.write(HEAD)
            await app.was_cut_off.wait()
            writer.close()

    run(body())


def test_requests_one_after_another_on_one_connection_are_all_answered() -> None:
    async def body() -> None:
        async with served(short, LATE) as connect:
            reader, writer = await connect()
            for _ in range(3):
                writer.write(HEAD + HEAD)
                for _ in range(2):
                    assert (await reader.readuntil(b"ok")).startswith(b"HTTP/1.1 200")
            writer.close()

    run(body())


def test_beyond_the_last_place_a_few_are_told_and_the_rest_closed() -> None:
    async def body() -> None:
        async with served(short, LATE) as connect:
            held = [await connect() for _ in range(PLACES)]
            told = [await connect() for _ in range(TOLD_MAX)]
            for reader, writer in (told[0], told[-1]):
                writer.write(HEAD)
                head, _, document = (await _rest(reader)).partition(b"\r\n\r\n")
                assert head.startswith(b"HTTP/1.1 503")
                assert b"retry-after: 1" in head.lower()
                assert json.loads(document)["code"] == "back_pressure"
            more = [await connect() for _ in range(3)]
            assert await _rest(more[2][0]) == b""
            for _, writer in (*held, *told, *more):
                writer.close()

    run(body())


def test_health_is_answered_where_all_places_are_taken() -> None:
    async def body() -> None:
        async with served(short, LATE) as connect:
            held = [await connect() for _ in range(PLACES + 2)]
            reader, writer = await connect()
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n")
            head, _, document = (await _rest(reader)).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200")
            assert json.loads(document) == {"alive": True}
            for _, other in (*held, (reader, writer)):
                other.close()

    run(body())


def test_one_caller_leaves_places_to_others() -> None:
    async def body() -> None:
        async with served(short, Patience(head_s=WAIT_S, connections_max=8, stall_s=WAIT_S)) as connect:
            held = [await connect() for _ in range(6)]
            reader, writer = await connect()
            writer.write(HEAD)
            assert (await _rest(reader)).startswith(b"HTTP/1.1 503")
            for _, other in (*held, (reader, writer)):
                other.close()

    run(body())


async def _rest(reader: asyncio.StreamReader) -> bytes:
    """Until the server closes, in whatever way."""
    found = b""
    try:
        while part := await reader.read(1 << 16):
            found += part
    except ConnectionError:
        pass
    return found
