"""The height that the database has reached, followed by its notifications: what waits for a block waits here."""

import asyncio
from typing import Final

from psycopg import Error
from psycopg.errors import ReadOnlySqlTransaction

from node.process.watching import Dependency
from projections.session.connect import AsyncConnection, connect_async
from projections.session.errors import DatabaseUnusable

_CHANNEL: Final = "momus_flush"
_HEIGHT: Final = "SELECT height FROM api.status"
_LOOK_S: Final = 1.0
"""A notification that is lost costs this."""
_LOOK_AT_REPLICA_S: Final = 0.1
"""A replica notifies nobody."""
_RETRY_S: Final = 0.5


class Heights:
    """One task with one connection, however many wait."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._height = 0
        self._changed = asyncio.Condition()
        self.database: Final = Dependency()
        """Whether it answers this process."""

    @property
    def height(self) -> int:
        """The newest height seen; 0 before the first."""
        return self._height

    async def run(self) -> None:
        """Until cancelled; through restarts of the database."""
        while True:
            try:
                async with await connect_async(self._url, "momus api") as connection:
                    await self._follow(connection)
            except (Error, DatabaseUnusable, OSError) as error:
                self.database.failed(error)
            await asyncio.sleep(_RETRY_S)

    async def above(self, height: int, wait_s: float) -> bool:
        """Whether a block above `height` is there, waiting for it."""
        try:
            async with asyncio.timeout(wait_s), self._changed:
                await self._changed.wait_for(lambda: self._height > height)
        except TimeoutError:
            return False
        return True

    async def _listen(self, connection: AsyncConnection) -> float:
        """Seconds after which to look, whether there was a notification or not."""
        try:
            await connection.execute(f"LISTEN {_CHANNEL}")
        except ReadOnlySqlTransaction:
            return _LOOK_AT_REPLICA_S
        return _LOOK_S

    async def _follow(self, connection: AsyncConnection) -> None:
        look_s = await self._listen(connection)
        while True:
            with self.database.asked():
                row = await (await connection.execute(_HEIGHT)).fetchone()
            # A database that was rebuilt may be behind the old one.
            if row is not None and int(str(row[0])) != self._height:
                async with self._changed:
                    self._height = int(str(row[0]))
                    self._changed.notify_all()
            async for _ in connection.notifies(timeout=look_s, stop_after=1):
                pass
