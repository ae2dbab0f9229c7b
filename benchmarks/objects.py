"""Objects that anybody may write, made and updated one by one, and a node that executes them."""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from client import HeightWatch
from lab.bench.inject import WAIT_S, Injector, executed
from lab.bench.load import LogEntry
from ledger.commands import Command, CreateObject, UpdateObject
from ledger.digests import object_id
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, digest_of, sign_body

SIGNERS = 64
CONTENT_BYTES = 32
MEDIA_TYPE = "application/octet-stream"
IN_FLIGHT = 2
"""Steps that are final and not executed yet: so blocks are made at the pace of execution, and checkpoints by it."""


class Objects:
    """Signs for one chain; ids are kept in the order of making, 32 bytes each."""

    def __init__(self, genesis: Genesis, expires_at_ms: int) -> None:
        self._genesis = genesis
        self._expires_at_ms = expires_at_ms
        self._keys = [PrivateKey.from_seed(sha256(b"bench owner %d" % number).digest()) for number in range(SIGNERS)]
        self._ids = bytearray()
        self._signed = 0

    def __len__(self) -> int:
        return len(self._ids) // 32

    def create(self, count: int) -> Iterator[Transaction]:
        """So many more, as many under a signature as the chain allows."""
        most = self._genesis.limits.commands_max
        for first in range(0, count, most):
            commands = [CreateObject("bench", MEDIA_TYPE, self._content(), ()) for _ in range(min(most, count - first))]
            transaction = self._sign(*commands)
            digest = digest_of(self._genesis.digest, transaction)
            self._ids += b"".join(object_id(digest, index) for index in range(len(commands)))
            yield transaction

    def update(self, numbers: Iterable[int]) -> Iterator[Transaction]:
        """New content for these, one under each signature."""
        for number in numbers:
            item = bytes(self._ids[32 * number : 32 * number + 32])
            yield self._sign(UpdateObject(item, 0, MEDIA_TYPE, self._content()))

    def _content(self) -> bytes:
        return self._signed.to_bytes(CONTENT_BYTES)

    def _sign(self, *commands: Command) -> Transaction:
        self._signed += 1
        body = Body(self._signed.to_bytes(16), self._expires_at_ms, b"", commands)
        return sign_body(self._keys[self._signed % SIGNERS], self._genesis.digest, body)


def run_steps(injector: Injector, heights: HeightWatch, steps: Iterable[Sequence[LogEntry]]) -> float:
    """Seconds from the first append until all is executed; a step is appended once the one before it is final and the
    one IN_FLIGHT before it executed. Raises: BenchFailed."""
    began = time.monotonic()
    waiting: deque[int] = deque()
    for step in steps:
        waiting.append(injector.finalize(step).height)
        if len(waiting) > IN_FLIGHT:
            executed(heights, waiting.popleft(), WAIT_S)
    return max(executed(heights, height, WAIT_S) for height in waiting) - began
