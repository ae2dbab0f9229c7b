"""`Client`: the public way to produce transactions from Python."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from backbone.log import Log
from backbone.log.kafka import KafkaLog
from client.follower import Follower
from client.outbox import BackPressure, BatchLimits, Outbox, Position, Record, Submission
from client.sender import Sender
from client.tracker import Tracker
from client.values import ClientSettings, ClientStopped, NotFinal, Progress
from ledger.commands import Command
from ledger.genesis import Genesis, parse_genesis
from ledger.header import Header
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, check_body, digest_of, sign_body
from node.home.layout import Home
from node.wiring import make_log


class Client:
    """Builds, signs and submits transactions, and follows them to finality.

    All methods may be called from any thread. Signing with a key is `sign`; `submit` takes what anybody signed. A
    signer's transactions keep their order in the log as long as the connection holds; after a loss what was not
    acknowledged goes again, which is harmless (a digest executes once), but may then come after later ones. The first
    record goes out once the newest final header is read, so that offsets are those of today's log.

    Signed and in the log is submitted: where the broker is not trusted, Kafka's transactions withdraw nothing. A record
    in a transaction that is aborted, or never ends, executes all the same (docs/producing.md).

    What *final* means here: validators with more than 2/3 of the power have signed a history of the partition that
    reaches past the position which the log gave us. It does not mean that the transaction succeeded (that is in
    `api.transactions` or `api.rejections`), nor, since brokers are not trusted, that the record at that position is
    ours: a lying broker can acknowledge a record that it drops. Who must know asks a node by digest.
    """

    def __init__(self, log: Log, genesis: Genesis, settings: ClientSettings | None = None) -> None:
        self.genesis = genesis
        self.settings = settings or ClientSettings()
        self._changed = threading.Condition()
        self._submitted = self._delivered = self._final = self._failed = 0
        self._unresolved = self._unresolved_bytes = 0
        self._stopped: str | None = None
        batches = BatchLimits(self.settings.batch_max, self.settings.batch_bytes_max, self.settings.linger_ms)
        limits = genesis.limits
        self._outbox = Outbox(genesis.partitions, batches.within(limits), limits.record_bytes_max)
        self._tracker = Tracker(genesis.empty_heads())
        self._sender = Sender(
            log,
            genesis,
            self._outbox,
            self._changed,
            self.settings.retry_ms_max,
            self._tracker.end,
            self._on_delivered,
            self._on_failed,
            self._on_stopped,
        )
        self._is_at_tip = False
        self._follower = Follower(
            log, genesis, self.settings.blocks_from, self._is_awaited, self._on_header, self._on_stopped, self._on_tip
        )
        self._owned_log: Log | None = None
        self._sender.start()
        if self.settings.follow:
            self._follower.start()
        else:
            self._on_tip()

    @classmethod
    def at_home(cls, home: Path, settings: ClientSettings | None = None) -> Self:
        """A client of the node on this machine whose home this is: its genesis, its log.

        Raises: HomeUnusable, BadSettings, LogUnavailable.
        """
        place = Home(home)
        return cls._owning(make_log(place, place.settings(dict(os.environ))), place.genesis(), settings)

    @classmethod
    def on_kafka(
        cls, properties: Mapping[str, str], genesis_file: Path, settings: ClientSettings | None = None
    ) -> Self:
        """A client of any cluster: Kafka client properties (`bootstrap.servers` and what else it takes) and the
        chain's genesis.json. Raises: GenesisError, OSError, LogUnavailable."""
        return cls._owning(KafkaLog(dict(properties)), parse_genesis(genesis_file.read_bytes()), settings)

    @classmethod
    def _owning(cls, log: Log, genesis: Genesis, settings: ClientSettings | None) -> Self:
        client = cls(log, genesis, settings)
        client._owned_log = log
        return client

    def sign(
        self,
        key: PrivateKey,
        *commands: Command,
        reference: bytes = b"",
        valid_for_ms: int | None = None,
        nonce: bytes | None = None,
    ) -> Transaction:
        """A transaction of `commands`, atomic, by `key`; by default valid for half of the chain's window and with a
        random nonce. `reference` (at most 64 bytes) is yours and shows in SQL.

        Raises: ValueError for what every node would reject whatever its state.
        """
        valid_for_ms = self.genesis.limits.window_ms // 2 if valid_for_ms is None else valid_for_ms
        body = Body(
            nonce=secrets.token_bytes(16) if nonce is None else nonce,
            expires_at_ms=time.time_ns() // 1_000_000 + valid_for_ms,
            reference=reference,
            commands=commands,
        )
        rejection = check_body(body, self.genesis.limits)
        if rejection is not None:
            raise ValueError(f"{rejection.reason.sentence} {rejection.detail}".strip())
        return sign_body(key, self.genesis.digest, body)

    def submit(self, transaction: Transaction, block: bool = True, timeout_s: float | None = None) -> Submission:
        """Take a transaction to the log. Where the client holds `unresolved_max` already, wait for room (`block`,
        at most `timeout_s`) or raise.

        Raises: BackPressure (not taken), TooLarge (not taken), ClientStopped.
        """
        digest = digest_of(self.genesis.digest, transaction)
        with self._changed:
            if not self._changed.wait_for(self._has_room, timeout_s if block else 0):
                raise BackPressure(f"{self.settings.unresolved_max} transactions are not resolved yet")
            self._raise_if_stopped()
            was_empty = self._outbox.is_empty
            submission = self._outbox.add(transaction, digest, time.monotonic())
            self._submitted += 1
            self._unresolved += 1
            self._unresolved_bytes += submission.size_bytes
            if was_empty or self._outbox.has_closed:
                self._changed.notify_all()
            return submission

    def submit_all(self, transactions: Iterable[Transaction]) -> list[Submission]:
        """`submit` each, waiting for room."""
        return [self.submit(transaction) for transaction in transactions]

    @property
    def progress(self) -> Progress:
        """How far everything submitted has come."""
        with self._changed:
            return self._progress()

    def wait(
        self,
        submissions: Sequence[Submission],
        timeout_s: float,
        until: Literal["delivered", "final"] = "final",
        on_progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Until each submission is delivered, or final, or failed. `on_progress` is called about ten times a second.

        Raises: NotFinal when the time is over, ClientStopped.
        """
        deadline = time.monotonic() + timeout_s
        done = 0
        while True:
            with self._changed:
                while done < len(submissions) and _is_resolved(submissions[done], until):
                    done += 1
                progress = self._progress()
                if done < len(submissions):
                    self._raise_if_stopped()
                    self._changed.wait(min(0.1, max(0.0, deadline - time.monotonic())))
            if on_progress is not None:
                on_progress(progress)
            if done == len(submissions):
                return
            if time.monotonic() >= deadline:
                raise NotFinal(f"{len(submissions) - done} of {len(submissions)} are not {until} after {timeout_s:g} s")

    def flush(self, timeout_s: float) -> int:
        """Close open batches now and wait for acknowledgements; how many transactions are still without one."""
        with self._changed:
            self._sender.drain()
            self._changed.wait_for(lambda: not self._undelivered() or self._stopped is not None, timeout_s)
            return self._undelivered()

    def close(self, timeout_s: float = 30.0) -> int:
        """Flush, then end the threads; how many transactions were not acknowledged.

        A log that was handed in stays open.
        """
        undelivered = self.flush(timeout_s)
        self._sender.stop()
        if self.settings.follow:
            self._follower.stop()
        if self._owned_log is not None:
            self._owned_log.close()
        return undelivered

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close(30.0 if error is None else 0.0)

    def _has_room(self) -> bool:
        settings = self.settings
        fits = self._unresolved < settings.unresolved_max and self._unresolved_bytes < settings.unresolved_bytes_max
        return fits or self._stopped is not None

    def _undelivered(self) -> int:
        return self._submitted - self._failed - self._delivered

    def _is_awaited(self) -> bool:
        with self._changed:
            return self._is_at_tip and self._unresolved > 0

    def _on_tip(self) -> None:
        """From here on offsets can be told apart: of a record sent before, not even its incarnation would be known."""
        with self._changed:
            self._is_at_tip = True
            self._sender.begin()

    def _progress(self) -> Progress:
        return Progress(self._submitted, self._delivered, self._final, self._failed, self._tracker.height)

    def _raise_if_stopped(self) -> None:
        if self._stopped is not None:
            raise ClientStopped(self._stopped)

    def _on_delivered(self, record: Record, offset: int, final_before: tuple[int, int]) -> None:
        now = time.monotonic()
        for item, submission in enumerate(record.submissions):
            if submission.position is None:
                self._delivered += 1
                submission.delivered_at = now
                if not self.settings.follow:
                    self._release(submission)
            submission.position = Position(record.partition, offset, item)
        if self.settings.follow and self._tracker.is_opened_since(record.partition, final_before):
            self._outbox.add_again([record])
        elif self.settings.follow:
            height = self._tracker.on_delivered(record, offset, final_before[1])
            if height is not None:
                self._resolve(record, height, now)

    def _on_failed(self, record: Record, why: str) -> None:
        for submission in record.submissions:
            if submission.failure is None and submission.position is None:
                self._failed += 1
                submission.failure = why
                self._release(submission)

    def _on_header(self, header: Header) -> None:
        now = time.monotonic()
        with self._changed:
            final, lost = self._tracker.on_final(header)
            for record in final:
                self._resolve(record, header.height, now)
            self._outbox.add_again(lost)
            self._changed.notify_all()

    def _resolve(self, record: Record, height: int, now: float) -> None:
        for submission in record.submissions:
            if submission.height is None:
                submission.height = height
                submission.final_at = now
                self._final += 1
                self._release(submission)

    def _release(self, submission: Submission) -> None:
        self._unresolved -= 1
        self._unresolved_bytes -= submission.size_bytes

    def _on_stopped(self, why: str) -> None:
        with self._changed:
            self._stopped = why
            self._changed.notify_all()


def _is_resolved(submission: Submission, until: str) -> bool:
    reached = submission.position if until == "delivered" else submission.height
    return reached is not None or submission.failure is not None
