"""What the API hands to the log of what is submitted to it, and how often."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from api.submission import intake
from api.submission.intake import AGAIN_S, Intake
from ledger.commands import CreateAsset
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, sign_body
from serving.problems import Problem
from tests.builders import genesis

GENESIS = genesis(1)
KEY = PrivateKey.generate()


@dataclass
class Log:
    """Takes everything, and says of each what a test makes it say."""

    sent: list[Any] = field(default_factory=list)

    def send(self, transaction: Transaction) -> Any:
        self.sent.append(SimpleNamespace(transaction=transaction, place=None, final_height=None, refusal=None))
        return self.sent[-1]


class Api:
    """An intake over such a log, and a clock that a test turns."""

    def __init__(self) -> None:
        self.log = Log()
        self.now = 0.0
        self.counted = 0
        self.intake = Intake(GENESIS, self.log, None, self._count, lambda: self.now)  # type: ignore[arg-type]

    def take(self, transactions: Sequence[Transaction]) -> list[bytes]:
        return asyncio.run(self.intake.take(transactions))

    def _count(self) -> None:
        self.counted += 1


def transaction(number: int = 0) -> Transaction:
    expires_at_ms = time.time_ns() // 1_000_000 + 60_000
    body = Body(bytes([number]) * 16, expires_at_ms, b"", (CreateAsset("a", 0, KEY.address),))
    return sign_body(KEY, GENESIS.digest, body)


def test_the_same_again_goes_to_the_log_once() -> None:
    api = Api()
    one, other = transaction(1), transaction(2)
    for _ in range(3):
        api.take([one, other, one])
    assert [each.transaction for each in api.log.sent] == [one, other]
    assert api.counted == 2


def test_what_the_log_refused_goes_again() -> None:
    api = Api()
    one = transaction()
    api.take([one])
    api.log.sent[0].refusal = "not acknowledged"
    api.take([one])
    assert len(api.log.sent) == 2


@pytest.mark.parametrize("is_final", [False, True])
def test_what_the_log_had_and_lost_goes_again_after_a_while_and_what_is_final_never(is_final: bool) -> None:
    api = Api()
    one = transaction()
    api.take([one])
    api.log.sent[0].place = (0, 7)
    api.log.sent[0].final_height = 3 if is_final else None
    for after, times in ((AGAIN_S - 1, 1), (AGAIN_S, 1 if is_final else 2), (AGAIN_S + 1, 1 if is_final else 2)):
        api.now = after
        api.take([one])
        assert len(api.log.sent) == times


def test_a_batch_with_one_that_nobody_would_execute_sends_none() -> None:
    api = Api()
    bad = Transaction(transaction(1).body, KEY.public_key, bytes(64))
    with pytest.raises(Problem):
        api.take([transaction(2), bad])
    assert api.log.sent == []


def test_only_so_many_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(intake, "KEPT_MAX", 2)
    api = Api()
    digests = [api.take([transaction(number)])[0] for number in range(4)]
    assert [api.intake.state(digest) is not None for digest in digests] == [False, False, True, True]
