"""One worker process seen from its pool: started, fed, replaced when it dies."""

import json
import pickle
import socket
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any, Final

from ingest.verdicts import Record
from ledger.columns import Verdicts
from ledger.errors import Unavailable
from ledger.genesis import Limits

_WORKER: Final = f"{__package__}.worker"
_BOOT: Final = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {_WORKER} import main; main()"


class WorkerDied(Unavailable):
    """The worker process is gone, and with it what it was judging: start another one and send that again."""


class Worker:
    """A running worker. Chunks that were sent are answered in the order they were sent."""

    def __init__(self, genesis_digest: bytes, limits: Limits) -> None:
        """Start the process. Raises: OSError where the machine cannot."""
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-c", _BOOT, json.dumps(sys.path)],
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
            )
        self._connection: Connection[Any, Any] = Connection(ours.detach())
        self.pid: Final = self._process.pid
        self._send((genesis_digest, limits))

    def send(self, records: Sequence[Record]) -> None:
        """Raises: WorkerDied."""
        self._send(records)

    def receive(self) -> Verdicts:
        """Wait for the answer to the oldest unanswered chunk. Raises: WorkerDied."""
        try:
            verdicts = pickle.loads(self._connection.recv_bytes())
        except (EOFError, OSError) as error:
            raise WorkerDied(f"worker {self.pid}") from error
        assert isinstance(verdicts, Verdicts)
        return verdicts

    def end(self) -> None:
        """End the process and wait for it; what it was judging is lost."""
        self._connection.close()
        self._process.kill()
        self._process.wait()

    def _send(self, message: Any) -> None:
        try:
            self._connection.send_bytes(pickle.dumps(message, 5))
        except OSError as error:
            raise WorkerDied(f"worker {self.pid}") from error
