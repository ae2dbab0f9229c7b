"""A connection of any server here, within its limits: one implementation of HTTP/1.1, whatever application answers.

h11 says what the bytes mean; this says how long they may take and what is done with who passes a bound. It needs
nothing beyond h11, so that a process which must stay small can serve.
"""

import asyncio
import ssl
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final, cast

import h11

from serving.answers import ALIVE, HEALTHZ, Application, Receive, Scope, Send
from serving.exchange import Exchange, response, scope_of
from serving.limits import PIECE_BYTES_MIN, PIECES_MAX, STALL_BYTES_MIN, Admission, Connections, Limits, payer
from serving.parsing import Parser
from serving.problems import Problem

LINGER_S: Final = 2.0
"""In which a caller may read a refusal: to close at once, with bytes of his not read, would take it from him."""
_TOO_LARGE: Final = 431
_CLOSING: Final = (b"connection", b"close")

OnAnswer = Callable[[Scope | None, int, float], None]
"""What was asked, if that was understood; the status of the answer; and the seconds until it began."""


def nothing(scope: Scope | None, status: int, took_s: float) -> None:
    """Nobody counts answers."""


@dataclass(slots=True, eq=False)
class Serving:
    """What the connections of one listener share."""

    app: Application
    limits: Limits
    connections: Connections
    tls: ssl.SSLContext | None = None
    on_answer: OnAnswer = nothing
    open: set["Connection"] = field(default_factory=set)
    tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    is_draining: bool = False
    closed: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, exchange: Exchange, app: Application, scope: Scope) -> None:
        """Carry out a request."""
        self.run(_carry_out(app, scope, exchange)).add_done_callback(exchange.on_end)

    def run(self, coroutine: Coroutine[None, None, None]) -> "asyncio.Task[None]":
        """Beside all else, until the server ends."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


class Connection(asyncio.Protocol):
    """One caller's."""

    _transport: asyncio.Transport

    def __init__(self, serving: Serving) -> None:
        self._serving = serving
        self._limits = serving.limits
        self._app = serving.app
        self._loop = asyncio.get_running_loop()
        self._conn = Parser(self._limits.head_bytes_max)
        self._exchange: Exchange | None = None
        self._scope: Scope | None = None
        self._asked_at = time.monotonic()
        self._caller = ""
        self._admission = Admission.CLOSED
        self._early: bytearray | None = None
        """What comes before the handshake of TLS is known to be over."""
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._is_writable = asyncio.Event()
        self._is_writable.set()
        self._is_head = self._is_lingering = False

    # --- what the transport says ---

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody has come."""
        self._transport = cast("asyncio.Transport", transport)
        client = transport.get_extra_info("peername")
        self._client = tuple(client[:2]) if isinstance(client, tuple) else None
        self._caller = payer(self._client[0]) if self._client else ""
        self._serving.open.add(self)
        self._admission = self._serving.connections.take(self._caller)
        if self._admission is Admission.CLOSED:
            self.abort()
            return
        self._set("head", self._limits.head_s, self.abort)
        if self._serving.tls is None:
            self._begin()
        else:
            self._early = bytearray()
            self._transport.pause_reading()
            self._serving.run(self._encrypt(self._serving.tls))

    async def _encrypt(self, tls: ssl.SSLContext) -> None:
        """His place is taken before he proves anything, so that handshakes which never end are no more than places."""
        encrypted = None
        with suppress(OSError):  # whatever is wrong with what he sends
            encrypted = await self._loop.start_tls(
                self._transport,
                self,
                tls,
                server_side=True,
                ssl_handshake_timeout=self._limits.head_s,
                ssl_shutdown_timeout=self._limits.stall_s,
            )
        if encrypted is None:
            self.abort()
            self.connection_lost(None)  # asyncio does not say it of a handshake that did not end
        elif self in self._serving.open:
            self._transport = encrypted
            self._begin()

    def _begin(self) -> None:
        # So that `pause_writing` tells of the first bytes that are not taken. Over TLS 0 would mean always.
        self._transport.set_write_buffer_limits(high=1)
        if self._admission is Admission.REFUSED:
            self._app = _full
        early, self._early = self._early, None
        if early:
            self.data_received(bytes(early))

    def connection_lost(self, exc: Exception | None) -> None:
        """He has gone, or was let go."""
        if self not in self._serving.open:
            return
        for name in list(self._timers):
            self._cancel(name)
        if self._exchange is not None:
            self._exchange.end()
        self._is_writable.set()
        self._serving.connections.leave(self._caller, self._admission)
        self._serving.open.discard(self)
        self._serving.closed.set()

    def data_received(self, data: bytes) -> None:
        """Some of a request."""
        if self._early is not None:
            self._early += data
            return
        if self._is_lingering or self._conn.their_state is h11.MUST_CLOSE:
            return  # he has said that nothing follows
        if "idle" in self._timers:
            self._cancel("idle")
            self._set("head", self._limits.head_s, self.abort)
        self._conn.receive_data(data)
        self._advance()

    def eof_received(self) -> bool:
        """He sends nothing more, and may still take the answer to what he has sent."""
        if self._is_lingering or self._is_tls or self._exchange is None or not self._exchange.is_whole:
            return False
        self._conn.receive_data(b"")
        self._exchange.leave()
        return True

    def pause_writing(self) -> None:
        """There is something that he has not taken."""
        self._is_writable.clear()
        self._watch_for_stall()

    def resume_writing(self) -> None:
        """He has it all."""
        self._is_writable.set()
        self._cancel("stall")
        if self._exchange is None:
            self._cancel("answer")
        if self._is_lingering:
            self._set("head", LINGER_S, self.abort)

    # --- what an exchange asks for ---

    def write(self, *events: h11.Event) -> None:
        """Raises: h11.LocalProtocolError."""
        head = events[0] if events else None
        if isinstance(head, h11.Response):
            self._serving.on_answer(self._scope, head.status_code, time.monotonic() - self._asked_at)
            if self._is_last():
                events = _closing(head), *events[1:]
        self._transport.write(b"".join([self._conn.send(event) or b"" for event in events]))

    async def drained(self) -> None:
        """Wait until he has taken what is written."""
        await self._is_writable.wait()

    def want_body(self) -> None:
        """More of the body is waited for."""
        if self._conn.they_are_waiting_for_100_continue:
            self.write(h11.InformationalResponse(status_code=100, headers=[]))
        self._transport.resume_reading()

    def on_answered(self) -> None:
        """Go on to the next request, or close."""
        if self._is_writable.is_set():
            self._cancel("answer")
        if self._conn.our_state is not h11.DONE:
            self._close()
        elif self._conn.their_state is h11.DONE:
            self._next()
        else:  # the rest of the body is read and thrown away, within its limits
            self._transport.resume_reading()

    def abort(self) -> None:
        """Let him go, with nothing more said."""
        self._transport.abort()

    def refuse(self, problem: Problem) -> None:
        """Say why, where no answer has begun; and close."""
        if self._exchange is not None:
            self._exchange.end()
        if self._conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            self.abort()
            return
        answer = problem.answer()
        body = [] if self._is_head else [h11.Data(answer.body)]
        self.write(_closing(response(answer.status, answer.fields())), *body, h11.EndOfMessage())
        self._linger()

    def drain(self) -> None:
        """The server ends: what is under way may become whole."""
        if self._exchange is None:
            self._transport.close()

    # --- between them ---

    def _advance(self) -> None:
        """Do what the bytes say that are here."""
        try:
            while True:
                if self._conn.their_state is h11.MUST_CLOSE:
                    break
                event = self._conn.next_event()
                if event is h11.NEED_DATA:
                    break
                if event is h11.PAUSED:  # the next request is here, before this one is answered
                    self._transport.pause_reading()
                    break
                if isinstance(event, h11.ConnectionClosed):
                    self._transport.close()
                    break
                self._on_event(event)
        except h11.RemoteProtocolError as error:
            self.refuse(self._too_large_head() if error.error_status_hint == _TOO_LARGE else Problem("malformed"))
        except Problem as problem:
            self.refuse(problem)

    def _on_event(self, event: object) -> None:
        match event:
            case h11.Request():
                self._on_request(event)
            case h11.Data(data) if self._exchange is not None:
                self._exchange.feed(data)
                if self._exchange.body_bytes > self._limits.body_bytes_max:
                    raise self._too_large()
                if self._exchange.body_pieces > PIECES_MAX + self._exchange.body_bytes // PIECE_BYTES_MIN:
                    raise Problem("body_too_large", f"Its pieces are smaller than {PIECE_BYTES_MIN} bytes.")
                if self._exchange.is_full:
                    self._transport.pause_reading()
            case h11.EndOfMessage() if self._exchange is not None:
                self._cancel("body")
                self._exchange.end_body()
                if self._conn.our_state is h11.DONE:
                    self._next()

    def _on_request(self, request: h11.Request) -> None:
        """Raises: Problem."""
        self._cancel("head")
        self._is_head = request.method == b"HEAD"
        self._asked_at = time.monotonic()
        # h11 bounds what it waits for, and not what comes at once.
        if (
            len(request.target) + sum(len(name) + len(value) for name, value in request.headers)
            > self._limits.head_bytes_max
        ):
            raise self._too_large_head()
        server = self._transport.get_extra_info("sockname")
        self._scope = scope_of(
            request,
            "https" if self._is_tls else "http",
            tuple(server[:2]) if isinstance(server, tuple) else None,
            self._client,
        )
        if _length(request) > self._limits.body_bytes_max:
            raise self._too_large()
        self._exchange = Exchange(self, request)
        self._set("body", self._limits.body_s, self._on_slow_body)
        if self._limits.answer_s is not None:
            self._set("answer", self._limits.answer_s, self.abort)
        self._serving.begin(self._exchange, self._app, self._scope)

    def _next(self) -> None:
        self._conn.start_next_cycle()
        self._exchange = self._scope = None
        self._is_head = False
        if self._serving.is_draining:
            self._transport.close()
            return
        self._transport.resume_reading()
        if any(self._conn.trailing_data):
            self._set("head", self._limits.head_s, self.abort)
            self._advance()
        else:
            self._set("idle", self._limits.idle_s, self._transport.close)

    def _on_slow_body(self) -> None:
        self.refuse(Problem("body_too_slow", f"It was not whole after {self._limits.body_s:g} s."))

    def _too_large(self) -> Problem:
        return Problem("body_too_large", f"A body has at most {self._limits.body_bytes_max} bytes.")

    def _too_large_head(self) -> Problem:
        return Problem("head_too_large", f"A head has at most {self._limits.head_bytes_max} bytes.")

    def _close(self) -> None:
        if self._conn.their_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED):
            self._transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        """Nothing more is written, and what still comes is not read as a request."""
        self._is_lingering = True
        self._cancel("body")
        if self._is_writable.is_set():
            self._set("head", LINGER_S, self.abort)
        self._transport.resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()
        else:
            self._transport.close()

    def _is_last(self) -> bool:
        # Who waits for 100 and gets an answer may send his body or not: what follows could be either.
        return self._serving.is_draining or self._app is _full or self._conn.they_are_waiting_for_100_continue

    @property
    def _is_tls(self) -> bool:
        return self._transport.get_extra_info("ssl_object") is not None

    def _watch_for_stall(self) -> None:
        left_bytes = self._transport.get_write_buffer_size()

        def look() -> None:
            if self._transport.get_write_buffer_size() <= left_bytes - STALL_BYTES_MIN:
                self._watch_for_stall()
            else:
                self.abort()

        self._set("stall", self._limits.stall_s, look)

    def _set(self, name: str, after_s: float, then: Callable[[], None]) -> None:
        self._cancel(name)
        self._timers[name] = self._loop.call_later(after_s, then)

    def _cancel(self, name: str) -> None:
        timer = self._timers.pop(name, None)
        if timer is not None:
            timer.cancel()


def _closing(head: h11.Response) -> h11.Response:
    return h11.Response(status_code=head.status_code, headers=[*head.headers.raw_items(), _CLOSING], reason=head.reason)


def _length(request: h11.Request) -> int:
    """What the head says of the body; h11 has seen that it is a number."""
    return int(dict(request.headers).get(b"content-length", b"0"))


async def _carry_out(app: Application, scope: Scope, exchange: Exchange) -> None:
    await app(scope, exchange.receive, exchange.send)


async def _full(scope: Scope, receive: Receive, send: Send) -> None:
    """Every place is taken, or most of them by this caller. That this process lives is said all the same."""
    problem = Problem("back_pressure", "As many connections are open as this node holds.")
    answer = ALIVE if scope["path"] == HEALTHZ else problem.answer()
    await answer(scope, receive, send)
