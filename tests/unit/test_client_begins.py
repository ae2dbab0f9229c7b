"""A new client begins at the newest header that a quorum signed: what it verifies does not grow with the chain."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event

import pytest

from client import Client, ClientSettings
from client.follower import Follower
from ledger.committee import Committees
from ledger.header import Header
from tests.builders import genesis, key, transfer
from tests.flaky_log import FlakyLog, MiniValidator
from tests.patience import WAIT_S

CHAIN = genesis(1, partitions=2)
BLOCKS = CHAIN.topic_name("blocks")


class CountingLog(FlakyLog):
    """How many records readers were given."""

    def __init__(self) -> None:
        super().__init__()
        self.given = 0

    def reader(self, topic, positions):  # type: ignore[no-untyped-def]
        reader = super().reader(topic, positions)
        read = reader.read

        def counted(records_max, timeout_ms):  # type: ignore[no-untyped-def]
            found = read(records_max, timeout_ms)
            self.given += len(found)
            return found

        reader.read = counted  # type: ignore[method-assign]
        return reader


@contextmanager
def following(log: FlakyLog, is_awaited: bool, height_min: int = 0) -> Iterator[tuple[Follower, list[int], Event]]:
    """A follower, the heights that it has handed out, and that it has handed out one."""
    heights: list[int] = []
    told = Event()

    def on_header(header: Header) -> None:
        heights.append(header.height)
        told.set()

    stopped: list[str] = []
    follower = Follower(log, CHAIN, Committees.of(CHAIN), height_min, lambda: is_awaited, on_header, stopped.append)
    follower.start()
    try:
        yield follower, heights, told
    finally:
        follower.stop()
        assert stopped == []


@pytest.mark.parametrize("blocks", [1, 2, 17, 400])
@pytest.mark.parametrize("is_awaited", [False, True])
def test_the_newest_header_comes_first_and_then_all_that_follow(blocks: int, is_awaited: bool) -> None:
    log = CountingLog()
    validator = MiniValidator(CHAIN, log)
    for _ in range(blocks):
        validator.make_final()
    with following(log, is_awaited) as (_, heights, told):
        assert told.wait(WAIT_S)
        assert heights == [blocks]
        assert log.given <= 16
        told.clear()
        validator.make_final()
        assert told.wait(WAIT_S)
        assert heights == [blocks, blocks + 1]


@pytest.mark.parametrize("forged", [1, 15, 16, 300])
def test_what_does_not_verify_at_the_end_is_passed_over(forged: int) -> None:
    log = CountingLog()
    validator = MiniValidator(CHAIN, log)
    for _ in range(50):
        validator.make_final()
    for _ in range(forged):
        log.append(BLOCKS, 0, b"forged")
    with following(log, True) as (follower, heights, told):
        assert told.wait(WAIT_S)
        assert (heights, follower.forged) == ([50], forged)


def test_headers_of_another_chain_alone_are_no_beginning_and_a_later_one_is() -> None:
    log = CountingLog()
    other = MiniValidator(genesis(1, partitions=2, chain="other"), log)
    for value in [other.block([0, 0]) for _ in range(40)]:
        log.append(BLOCKS, 0, value)
    with following(log, True) as (_, heights, told):
        MiniValidator(CHAIN, log).make_final()
        assert told.wait(WAIT_S)
        assert heights == [1]


def test_headers_below_a_height_that_is_known_to_be_final_do_not_count() -> None:
    log = CountingLog()
    validator = MiniValidator(CHAIN, log)
    for _ in range(20):
        validator.make_final()
    with following(log, True, height_min=22) as (_, heights, told):
        validator.make_final()
        validator.make_final()
        assert told.wait(WAIT_S)
        assert heights == [22]


def test_a_client_of_a_long_chain_learns_that_its_transaction_is_final() -> None:
    log = CountingLog()
    validator = MiniValidator(CHAIN, log)
    for _ in range(300):
        validator.make_final()
    with Client(log, CHAIN, ClientSettings(linger_ms=0)) as client:
        submission = client.submit(client.sign(key(0), transfer([key(1).address], [5])))
        client.wait([submission], WAIT_S, until="delivered")
        validator.make_final()
        client.wait([submission], WAIT_S)
        assert submission.height == 301
        assert client.progress.height == 301
    assert log.given < 30
