"""Which log a demo or a benchmark uses, and a local Kafka broker where one is needed and none is given."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from node.embedded.broker import LocalBroker

KAFKA_VARIABLE = "MOMUS_KAFKA"


@contextmanager
def running_broker(backbone: str, scratch: Path, console: Console) -> Iterator[str | None]:
    """Bootstrap servers: those in MOMUS_KAFKA, else of a broker started here and stopped at the end; None: embedded."""
    if backbone == "embedded":
        yield None
        return
    given = os.environ.get(KAFKA_VARIABLE)
    if given:
        yield given
        return
    console.print("starting a Kafka broker of our own", highlight=False)
    with LocalBroker(scratch / "kafka") as broker:
        yield broker.bootstrap
