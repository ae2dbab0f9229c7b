"""The client of the log as the API uses it: made when the log can be reached, and again after it has stopped."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from backbone.log import Log, LogUnavailable
from client.client import Client
from client.outbox import BackPressure, Submission, TooLarge
from client.values import ClientSettings, ClientStopped
from ledger.genesis import Genesis
from ledger.transaction import Transaction
from node import wiring
from node.process.process import Process
from node.settings.tree import BadSettings
from serving.problems import Problem

RETRY_S: Final = 1.0
CLOSE_S: Final = 3.0
SETTINGS: Final = ClientSettings(linger_ms=2, unresolved_max=20_000, unresolved_bytes_max=64 << 20, retry_ms_max=60_000)

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ClientSent:
    """A submission, as the API sees it."""

    submission: Submission

    @property
    def place(self) -> tuple[int, int] | None:
        """(partition, offset)."""
        position = self.submission.position
        return None if position is None else (position.partition, position.offset)

    @property
    def final_height(self) -> int | None:
        return self.submission.height

    @property
    def refusal(self) -> str | None:
        return self.submission.failure


class ClientSender:
    """Sends with a client while there is one; a thread of its own makes it."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._genesis = process.home.genesis()
        self._client: Client | None = None
        self._log: Log | None = None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="momus-api-client", daemon=True)

    def start(self) -> None:
        """Begin to reach the log."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is waiting, if the log takes it soon, and end."""
        self._ended.set()
        self._thread.join()
        self._drop(CLOSE_S)

    def send(self, transaction: Transaction) -> ClientSent:
        """Take one. Raises: Problem."""
        client = self._client
        if client is None:
            raise Problem("log_unavailable", "This node does not reach the log now.")
        try:
            return ClientSent(client.submit(transaction, block=False))
        except BackPressure as error:
            raise Problem("back_pressure", str(error)) from error
        except TooLarge as error:
            raise Problem("body_too_large", str(error)) from error
        except ClientStopped as error:
            self._client = None
            raise Problem("log_unavailable", str(error)) from error

    def _run(self) -> None:
        while not self._ended.is_set():
            if self._client is None:
                self._drop(0.0)
                try:
                    self._make(self._genesis)
                except (LogUnavailable, BadSettings) as error:
                    _log.warning("API does not reach the log", reason=str(error))
            self._ended.wait(RETRY_S)

    def _make(self, genesis: Genesis) -> None:
        log = wiring.make_log(self._process.home, self._process.settings)
        self._log, self._made = log, Client(log, genesis, SETTINGS)
        self._client = self._made

    def _drop(self, timeout_s: float) -> None:
        if self._log is not None:
            self._made.close(timeout_s)
            self._log.close()
        self._client = self._log = None


@contextmanager
def client_sender(process: Process) -> Iterator[ClientSender]:
    """A sender that reaches the log as long as this lasts."""
    sender = ClientSender(process)
    sender.start()
    try:
        yield sender
    finally:
        sender.stop()
