"""A network that can be cut, slowed and narrowed: TCP proxies on loopback, run by one thread.

A cut is one of packets, not of connections: what is under way waits, new connections are taken and stay silent, and
after the heal everything flows on, as TCP does it. `sever` is the other kind: connections are reset, new ones refused.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from node.embedded.broker import free_ports

CHUNK_BYTES: Final = 16_384
CHUNKS_MAX: Final = 64
"""Under way in one direction of one connection; beyond, the sender is held up."""
CALL_S_MAX: Final = 30.0

Target = tuple[str, int] | Path
T = TypeVar("T")


class Link:
    """A port of loopback from which connections lead to `target`: (host, port), or the path of a Unix socket.

    Made by `Network.link`. From any thread; times in ms, rates in bytes per second in each direction.
    """

    def __init__(self, call: Callable[[Coroutine[Any, Any, Any]], Any], port: int) -> None:
        self.port = port
        self.target: Target | None = None
        self._call = call
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._delay_s = 0.0
        self._bytes_per_s = 0
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    def cut(self) -> None:
        """Nothing comes through any more, in either direction."""
        self._call(self._set(self._flowing.clear))

    def heal(self) -> None:
        """All is as it was before `cut`, `sever`, `delay` and `throttle`."""
        self._delay_s, self._bytes_per_s = 0.0, 0
        self._call(self._set(self._flowing.set))
        self._call(self.open())

    def sever(self) -> None:
        """Reset all connections and refuse new ones."""
        self._call(self.shut())

    def delay(self, delay_ms: int) -> None:
        """Everything takes so much longer, in each direction."""
        self._delay_s = delay_ms / 1000

    def throttle(self, bytes_per_s: int) -> None:
        """No more than this comes through."""
        self._bytes_per_s = bytes_per_s

    async def open(self) -> None:
        """Listen, if it does not."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)

    async def shut(self) -> None:
        """Listen no more; reset what is connected."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in (connections := list(self._connections)):
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _set(self, change: Callable[[], None]) -> None:
        change()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        try:
            with suppress(OSError, asyncio.CancelledError):
                await self._connect(reader, writer)
        finally:
            self._connections.discard(task)
            writer.transport.abort()

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._flowing.wait()
        there_reader, there_writer = await _dial(self.target)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(reader, there_writer))
                both.create_task(self._carry(there_reader, writer))
        except* OSError:
            pass
        finally:
            there_writer.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One direction, to its end; the end is an error, so that the other direction ends with it."""
        on_its_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(CHUNKS_MAX)
        async with asyncio.TaskGroup() as both:
            both.create_task(self._take(reader, on_its_way))
            both.create_task(self._deliver(on_its_way, writer))

    async def _take(self, reader: asyncio.StreamReader, on_its_way: "asyncio.Queue[tuple[float, bytes]]") -> None:
        clock = asyncio.get_running_loop().time
        while data := await reader.read(CHUNK_BYTES):
            await on_its_way.put((clock() + self._delay_s, data))
        await on_its_way.put((clock(), b""))

    async def _deliver(self, on_its_way: "asyncio.Queue[tuple[float, bytes]]", writer: asyncio.StreamWriter) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due, data = await on_its_way.get()
            if due > clock():
                await asyncio.sleep(due - clock())
            if self._bytes_per_s:
                await asyncio.sleep(len(data) / self._bytes_per_s)
            await self._flowing.wait()
            if not data:
                raise ConnectionResetError
            writer.write(data)
            await writer.drain()


class Network:
    """The thread that runs all links. At the end every link is gone."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="network", daemon=True)
        self._links: list[Link] = []

    def link(self, target: Target | None = None) -> Link:
        """A new link; without `target` that is set before the first connection."""
        link = Link(self._call, free_ports(1)[0])
        link.target = target
        self._call(link.open())
        self._links.append(link)
        return link

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for link in self._links:
            self._call(link.shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(CALL_S_MAX)


@contextmanager
def afflicted(links: Iterable[Link], how: Callable[[Link], None]) -> Iterator[None]:
    """Something (`Link.cut`, ...) is done to these links, and healed after the block."""
    links = list(links)
    try:
        for link in links:
            how(link)
        yield
    finally:
        for link in links:
            link.heal()


async def _dial(target: Target | None) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    assert target is not None, "a link without a target"
    if isinstance(target, Path):
        return await asyncio.open_unix_connection(str(target))
    return await asyncio.open_connection(*target)
