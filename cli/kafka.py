"""`momus kafka`: a local Apache Kafka in the foreground, for trying things out."""

import signal
import threading
from pathlib import Path
from typing import Annotated

import typer

from cli.options import JsonOption
from cli.output import Failure, note, show
from cli.typed import typed
from node.embedded.broker import LocalBroker
from node.home import exits

DEFAULT_FOLDER = Path(".kafka")
_WATCH_S = 0.5


def command(
    folder: Annotated[Path, typer.Option(help="Where its data, logs and ports are kept.")] = DEFAULT_FOLDER,
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port for clients; default: a free one, kept in the folder.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a real Kafka broker on loopback until Ctrl-C or SIGTERM. Needs Java 17 or newer and, once, Maven.

    --json prints {"bootstrap": "host:port", "pid": ...} as soon as it answers. Exit code 4: it ended by itself.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    if not as_json:
        note("Starting Kafka; the first time, Maven fetches it.")
    with LocalBroker(folder, port) as broker:
        facts = {"bootstrap": broker.bootstrap, "pid": broker.pid}
        text = [f"Kafka answers at {broker.bootstrap}; Ctrl-C stops it. A chain on it:"]
        text += [f"  {typed('init', '--backbone', 'kafka', '--kafka', broker.bootstrap, '--dev')}"]
        show(as_json, facts, text)
        while not stop.wait(_WATCH_S):
            if broker.pid is None:
                raise Failure(exits.UNAVAILABLE, f"Kafka ended by itself; its logs are in {broker.folder}.")
