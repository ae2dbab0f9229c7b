"""Transactions in: checked as every node would check them, handed to a client of the log, followed from then on."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final, Protocol

from api.reading.heights import Heights
from api.reading.transactions import State
from api.submission.working import Workers
from ingest.verdicts import verdict
from ledger.digests import transaction_message
from ledger.genesis import Genesis
from ledger.rejection import Reason
from ledger.transaction import Transaction
from serving.charging import take
from serving.problems import Problem

KEPT_MAX: Final = 100_000
"""Transactions of ours whose state is known before the database knows it; the oldest go first."""
AGAIN_S: Final = 30.0
"""What is not final after that, and is submitted once more, goes to the log once more: a log can lose what it had."""
_POLL_S: Final = 0.01


class Sent(Protocol):
    """A transaction on its way: where the log has it, the height where it became final, why the log refused it."""

    @property
    def place(self) -> tuple[int, int] | None:
        """(partition, offset)."""

    @property
    def final_height(self) -> int | None: ...

    @property
    def refusal(self) -> str | None: ...


class Sender(Protocol):
    """What takes transactions to the log."""

    def send(self, transaction: Transaction) -> Sent:
        """Take one. Raises: Problem (back_pressure, log_unavailable): it was not taken."""


class Intake:
    """What came through this process. The same transaction again is harmless, and for a while not sent again."""

    def __init__(
        self,
        genesis: Genesis,
        sender: Sender,
        heights: Heights,
        on_sent: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.workers = Workers()
        self._genesis = genesis
        self._sender = sender
        self._heights = heights
        self._on_sent = on_sent
        self._clock = clock
        self._sent: OrderedDict[bytes, Sent] = OrderedDict()
        self._sent_at: dict[bytes, float] = {}

    def check(self, transaction: Transaction) -> bytes:
        """Its digest. From any thread. Raises: Problem, for what would be rejected whatever the state is."""
        message = transaction_message(self._genesis.digest, transaction.public_key, transaction.body)
        reason, _ = verdict(transaction, message, time.time_ns() // 1_000_000, self._genesis.limits)
        if reason:
            raise rejected(reason)
        return sha256(message).digest()

    async def take(self, transactions: Sequence[Transaction]) -> list[bytes]:
        """Check all beside the loop, then send all; their digests. Each but the first costs a token. Raises: Problem;
        those sent before it stay sent."""
        take(len(transactions) - 1)
        digests = await self.workers.each(self.check, transactions)
        for digest, transaction in zip(digests, transactions, strict=True):
            if self._is_due(digest):
                self._sent[digest] = self._sender.send(transaction)
                self._sent_at[digest] = self._clock()
                self._sent.move_to_end(digest)
                self._on_sent()
        while len(self._sent) > KEPT_MAX:
            oldest, _ = self._sent.popitem(last=False)
            del self._sent_at[oldest]
        return digests

    def _is_due(self, digest: bytes) -> bool:
        """Whether it is to be sent now."""
        known = self._sent.get(digest)
        if known is None or known.refusal is not None:
            return True
        return known.final_height is None and self._clock() - self._sent_at[digest] >= AGAIN_S

    def state(self, digest: bytes) -> tuple[State, Sent] | None:
        """How far one of ours has come; None: it did not come through here, or long ago."""
        sent = self._sent.get(digest)
        return None if sent is None else (_state(sent), sent)

    async def wait(self, digests: Sequence[bytes], until: str, wait_s: float) -> None:
        """Until the log has all of them (`delivered`), all are `final`, or the database has their blocks
        (`executed`); at most `wait_s`."""
        deadline = time.monotonic() + wait_s
        while time.monotonic() < deadline:
            if all(self._has_come(self._sent.get(digest), until) for digest in digests):
                return
            await asyncio.sleep(_POLL_S)

    def _has_come(self, sent: Sent | None, until: str) -> bool:
        if sent is None or sent.refusal is not None:
            return True
        if until == "delivered":
            return sent.place is not None
        height = sent.final_height
        return height is not None and (until == "final" or height <= self._heights.height)


def _state(sent: Sent) -> State:
    if sent.refusal is not None:
        return "failed"
    if sent.final_height is not None:
        return "final"
    return "submitted" if sent.place is None else "delivered"


def rejected(reason: Reason) -> Problem:
    """The answer to a transaction that no node would execute."""
    return Problem("rejected", reason.sentence, reason.word)
