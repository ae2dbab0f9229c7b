"""The effects process: reads the node's database, writes its topic, until SIGTERM."""

import asyncio
import os
from functools import partial
from typing import Final

from api.effects.writing import EffectsWriter, Target
from api.reading.database import Database
from api.reading.heights import Heights
from node import wiring
from node.metrics.values import Values
from node.metrics.writing import writing
from node.process.process import Process

NICENESS: Final = 3
CONNECTIONS: Final = 2
STATEMENT_MS: Final = 30_000


def topic_of(validator: str) -> str:
    """What follows `momus.<chain>.` in the topic's name."""
    return f"effects.{validator}"


def run_effects(process: Process) -> None:
    """Until SIGTERM. Raises: HomeUnusable, BadSettings."""
    os.nice(NICENESS)
    home, settings = process.home, process.settings
    topic = home.genesis().topic_name(topic_of(settings.validator))
    values = Values("effects")
    with (
        wiring.open_log(home, settings) as log,
        writing(home, "effects", settings.metrics, values),
    ):
        asyncio.run(_run(process, Target(log, topic, topic), values))


async def _run(process: Process, target: Target, values: Values) -> None:
    settings = process.settings.effects
    url = wiring.database_url(process.home, process.settings)
    database, heights = Database(url, CONNECTIONS, STATEMENT_MS), Heights(url)
    await database.open()
    following = asyncio.create_task(heights.run())
    try:
        writer = EffectsWriter(target, database, heights, values, settings.batch_records, process.stop.is_set)
        await writer.run(settings.retry_ms / 1000, process.on_running, partial(process.on_waiting))
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await database.close()
