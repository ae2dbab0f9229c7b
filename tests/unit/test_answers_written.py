"""How an answer goes out: in pieces that a caller takes one after another, and to nobody who does not take them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack

import h11
import pytest
from starlette.responses import StreamingResponse

from serving.answers import Answer, Application, Receive, Scope, Send
from serving.connection import Connection, Serving
from serving.exchange import WRITE_BYTES_MAX, Exchange
from serving.limits import STALL_BYTES_MIN, Connections, Limits
from serving.problems import Problem
from serving.server import Listener, tcp_socket
from tests.http_servers import LOOPBACK, Served, rest_of, running

BODY = bytes(range(256)) * 1_000
SCOPE: Scope = {"type": "http"}


class Line:
    """Keeps what is written, until it is taken."""

    def __init__(self) -> None:
        self.turns: list[list[h11.Event]] = [[]]
        self.is_answered = False

    def write(self, *events: h11.Event) -> None:
        self.turns[-1] += events

    async def drained(self) -> None:
        self.turns.append([])

    def want_body(self) -> None:
        """There is none."""

    def on_answered(self) -> None:
        self.is_answered = True

    def refuse(self, problem: Problem) -> None:
        raise problem


def written(app: Application, method: str = "GET") -> Line:
    line = Line()
    exchange = Exchange(line, h11.Request(method=method, target="/", headers=[("Host", "a")]))
    asyncio.run(_answer(app, exchange))
    return line


async def _answer(app: Application, exchange: Exchange) -> None:
    await app(SCOPE, exchange.receive, exchange.send)


def data_of(events: list[h11.Event]) -> bytes:
    return b"".join(bytes(event.data) for event in events if isinstance(event, h11.Data))


@pytest.mark.parametrize("size", [0, 1, WRITE_BYTES_MAX, WRITE_BYTES_MAX + 1, 3 * WRITE_BYTES_MAX, len(BODY)])
def test_a_large_body_goes_out_piece_by_piece_as_it_is_taken(size: int) -> None:
    line = written(Answer(200, BODY[:size]))
    pieces = [data_of(turn) for turn in line.turns]
    assert b"".join(pieces) == BODY[:size]
    assert max(map(len, pieces)) <= WRITE_BYTES_MAX
    assert line.is_answered


def test_an_answer_that_is_there_whole_goes_out_at_once() -> None:
    (turn,) = written(Answer(200, b"x")).turns
    assert [type(event) for event in turn] == [h11.Response, h11.Data, h11.EndOfMessage]


def test_the_head_of_an_answer_goes_out_with_the_first_of_its_body() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200})
        for part in (b"a", b"", b"b"):
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body"})

    kinds = [[type(event) for event in turn] for turn in written(app).turns]
    assert kinds == [[h11.Response, h11.Data], [], [h11.Data], [h11.EndOfMessage]]


def test_who_asks_for_the_head_gets_no_piece() -> None:
    (turn,) = written(Answer(200, BODY), "HEAD").turns
    assert [type(event) for event in turn] == [h11.Response, h11.EndOfMessage]


class Taking(asyncio.Transport):
    """What a caller takes of a full buffer: so many bytes each time that it is looked at, `looks` times; then all."""

    def __init__(self, taken_bytes: int, looks: int) -> None:
        super().__init__()
        self._left = 10 * STALL_BYTES_MIN
        self._taken = taken_bytes
        self._looks = looks
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As it is."""

    def get_write_buffer_size(self) -> int:
        self._looks -= 1
        if not self._looks and not self.ended.done():
            self.ended.set_result("taken")
        self._left -= self._taken
        return self._left

    def abort(self) -> None:
        if not self.ended.done():
            self.ended.set_result("aborted")


@pytest.mark.parametrize(("taken_bytes", "end"), [(0, "aborted"), (1, "aborted"), (STALL_BYTES_MIN, "taken")])
def test_who_takes_next_to_nothing_is_let_go(taken_bytes: int, end: str) -> None:
    async def ends() -> str:
        limits = Limits(connections_max=1, head_s=1_000, stall_s=0.001)
        connection = Connection(Serving(Answer(200, b""), limits, Connections(1)))
        transport = Taking(taken_bytes, looks=7)
        connection.connection_made(transport)
        connection.pause_writing()
        ended = await transport.ended
        connection.connection_lost(None)
        return ended

    assert asyncio.run(ends()) == end


async def endless(scope: Scope, receive: Receive, send: Send) -> None:
    """An answer, or a stream without end that leaves nobody else a turn."""

    async def pieces() -> AsyncIterator[bytes]:
        while True:
            yield BODY

    answer = Answer(200, b"x") if scope["path"] == "/" else StreamingResponse(pieces())
    await answer(scope, receive, send)


def test_a_stream_that_nobody_reads_ends() -> None:
    limits = Limits(connections_max=4, head_s=30, stall_s=0.1)
    with running(endless, limits, lambda: Listener(tcp_socket(LOOPBACK, 0))) as port, ExitStack() as stack:
        at = Served("streams", port, "/", "/stream")
        for _ in range(3):
            stack.enter_context(at.connect(4_096)).sendall(at.get(at.large))
        statuses = {503}
        while 200 not in statuses:
            with at.connect() as other:
                other.sendall(at.get(headers="Connection: close\r\n"))
                statuses.add(int(rest_of(other).split()[1]))
