"""A verdict worker: a process of its own, since verifying signatures beside busy Python threads starves (GIL convoy).

It speaks with its pool over the socket that is its standard input, in pickles, protocol 5: first (genesis digest,
limits), then a list of records for each list of verdicts. It ignores SIGINT and SIGTERM: it ends, at once, when
the pool's end of the socket closes, which the death of the pool's process does too.
"""

import os
import pickle
import signal
from multiprocessing.connection import Connection
from queue import SimpleQueue
from threading import Thread
from typing import Any

from ingest.verdicts import judge


def main() -> None:
    """Serve the pool until its end of the socket closes."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    connection: Connection[Any, Any] = Connection(os.dup(0))
    inbox: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_receive, args=(connection, inbox), daemon=True).start()
    genesis_digest, limits = pickle.loads(inbox.get())
    while True:
        verdicts = judge(pickle.loads(inbox.get()), genesis_digest, limits)
        try:
            connection.send_bytes(pickle.dumps(verdicts, 5))
        except OSError:
            return


def _receive(connection: "Connection[Any, Any]", inbox: "SimpleQueue[bytes]") -> None:
    """Take messages in while others are judged, so that neither side ever waits to send; the pool bounds how many."""
    while True:
        try:
            inbox.put(connection.recv_bytes())
        except (EOFError, OSError):
            os._exit(0)
