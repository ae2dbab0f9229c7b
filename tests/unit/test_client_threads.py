"""The client over a log that fails on request: everything is delivered, and final only by a verified header."""

from collections.abc import Iterator

import pytest

from client import BackPressure, Client, ClientSettings, ClientStopped, NotFinal, Progress
from ledger.digests import transaction_digest
from ledger.genesis import Genesis
from ledger.transaction import decode_record
from tests.builders import genesis, key, transfer
from tests.flaky_log import FlakyLog, MiniValidator
from tests.patience import WAIT_S

SETTINGS = ClientSettings(linger_ms=1)


@pytest.fixture
def chain() -> Genesis:
    return genesis(1, partitions=2)


@pytest.fixture
def log() -> FlakyLog:
    return FlakyLog()


@pytest.fixture
def validator(chain: Genesis, log: FlakyLog) -> MiniValidator:
    return MiniValidator(chain, log)


@pytest.fixture
def client(chain: Genesis, log: FlakyLog) -> Iterator[Client]:
    with Client(log, chain, SETTINGS) as client:
        yield client
        log.holds = False
        client.close()


def test_a_transaction_is_delivered_then_final(client: Client, validator: MiniValidator) -> None:
    submission = client.submit(client.sign(key(0), transfer([key(1).address], [5])))
    client.wait([submission], WAIT_S, until="delivered")
    assert submission.position is not None
    assert submission.height is None
    validator.make_final()
    client.wait([submission], WAIT_S)
    assert submission.height == 1
    assert submission.submitted_at <= (submission.delivered_at or 0) <= (submission.final_at or 0)


def test_a_batch_keeps_a_signers_order_and_tells_each_item(client: Client, chain: Genesis, log: FlakyLog) -> None:
    sent = [client.sign(key(0), transfer([key(1).address], [n]), reference=b"%d" % n) for n in range(1, 40)]
    submissions = client.submit_all(sent)
    client.wait(submissions, WAIT_S, until="delivered")
    in_log = [item for value in log.values(chain.topic) for item in decode_record(value, chain.limits)]  # type: ignore[union-attr]
    assert in_log == sent
    for submission, transaction in zip(submissions, sent, strict=True):
        assert submission.digest == transaction_digest(chain.digest, transaction.public_key, transaction.body)
        assert submission.position is not None
        value = log.records[chain.topic, submission.position.partition][submission.position.offset].value
        items = decode_record(value, chain.limits)
        assert isinstance(items, tuple)
        assert items[submission.position.item] == transaction


@pytest.mark.parametrize("fault", ["refuse", "lose", "drop", "full"])
def test_nothing_is_lost_when_the_log_fails(
    fault: str, client: Client, chain: Genesis, log: FlakyLog, validator: MiniValidator
) -> None:
    log.faults.extend(["", fault])
    for round_ in range(3):
        submission = client.submit(client.sign(key(0), transfer([key(1).address], [1 + round_])))
        client.wait([submission], WAIT_S, until="delivered")
        validator.make_final()
        client.wait([submission], WAIT_S)
    kept = {item for value in log.values(chain.topic) for item in decode_record(value, chain.limits)}  # type: ignore[union-attr]
    assert len(kept) == 3
    assert client.progress == Progress(submitted=3, delivered=3, final=3, failed=0, height=3)


def test_what_the_log_never_takes_fails_after_its_time(chain: Genesis, log: FlakyLog) -> None:
    log.faults.extend(["refuse"] * 1_000)
    with Client(log, chain, ClientSettings(linger_ms=0, retry_ms_max=1)) as client:
        submission = client.submit(client.sign(key(0), transfer([key(1).address], [1])))
        client.wait([submission], WAIT_S)
        assert submission.failure == "refused"
        assert client.progress.failed == 1


@pytest.mark.parametrize("batch_max", [1, 10])
def test_what_the_topic_takes_no_more_fails_at_once_and_holds_up_nobody(
    batch_max: int, chain: Genesis, log: FlakyLog, validator: MiniValidator
) -> None:
    """Its `max.message.bytes` was lowered, below a batch, and below one of the transactions in it."""
    log.size_max = 1_000
    with Client(log, chain, ClientSettings(batch_max=batch_max, linger_ms=20)) as client:
        amounts = [[1], [1] * 60, [1]] + [[1]] * 7
        sent = [client.sign(key(0), transfer([key(9).address] * len(each), each)) for each in amounts]
        submissions = client.submit_all(sent)
        client.wait(submissions, WAIT_S, until="delivered")
        assert [submission.failure for submission in submissions] == [None, "too large", *[None] * 8]
        validator.make_final()
        client.wait(submissions, WAIT_S)
        assert client.progress == Progress(submitted=10, delivered=9, final=9, failed=1, height=1)


def test_memory_is_bounded_by_raising_or_by_waiting(chain: Genesis, log: FlakyLog, validator: MiniValidator) -> None:
    with Client(log, chain, ClientSettings(linger_ms=0, unresolved_max=2)) as client:
        submissions = [client.submit(client.sign(key(n), transfer([key(9).address], [1]))) for n in range(2)]
        extra = client.sign(key(5), transfer([key(9).address], [1]))
        with pytest.raises(BackPressure):
            client.submit(extra, block=False)
        with pytest.raises(BackPressure):
            client.submit(extra, timeout_s=0.01)
        client.wait(submissions, WAIT_S, until="delivered")
        validator.make_final()
        last = client.submit(extra, timeout_s=WAIT_S)
        client.wait([last], WAIT_S, until="delivered")
        assert client.progress.submitted == 3


def test_memory_is_bounded_in_bytes(chain: Genesis, log: FlakyLog) -> None:
    log.holds = True
    with Client(log, chain, ClientSettings(unresolved_bytes_max=1, follow=False)) as client:
        client.submit(client.sign(key(0), transfer([key(9).address], [1])))
        with pytest.raises(BackPressure):
            client.submit(client.sign(key(1), transfer([key(9).address], [1])), block=False)
        log.holds = False


def test_a_forged_header_makes_nothing_final(
    client: Client, chain: Genesis, log: FlakyLog, validator: MiniValidator
) -> None:
    submission = client.submit(client.sign(key(0), transfer([key(1).address], [1])))
    client.wait([submission], WAIT_S, until="delivered")
    forged = bytearray(validator.block([50, 50]))
    forged[-40] ^= 1
    for value in (bytes(forged), b"", None, b"\xc3\x01 nonsense"):
        log.append(chain.topic_name("blocks"), 0, value)
    with pytest.raises(NotFinal):
        client.wait([submission], 0.3)
    validator.make_final()
    client.wait([submission], WAIT_S)
    assert submission.height == 2


def test_a_client_that_starts_late_reaches_the_tip(chain: Genesis, log: FlakyLog, validator: MiniValidator) -> None:
    for _ in range(30):
        log.append(chain.topic, 0, b"of somebody else")
        validator.make_final()
    with Client(log, chain, SETTINGS) as client:
        submission = client.submit(client.sign(key(0), transfer([key(1).address], [1])))
        client.wait([submission], WAIT_S, until="delivered")
        validator.make_final()
        client.wait([submission], WAIT_S)
        assert (submission.height, client.progress.height) == (31, 31)


@pytest.mark.parametrize("blocks_before", [1, 1_100])
def test_after_the_topic_was_recreated_a_new_client_does_not_take_old_heads_for_its_offsets(
    blocks_before: int, chain: Genesis, log: FlakyLog, validator: MiniValidator
) -> None:
    for partition in range(chain.partitions):
        for _ in range(60):
            log.append(chain.topic, partition, b"of the old log")
    for _ in range(blocks_before):
        validator.make_final()
    validator.recreate()
    validator.make_final()
    with Client(log, chain, SETTINGS) as client:
        submissions = [client.submit(client.sign(key(n), transfer([key(1).address], [1]))) for n in range(5)]
        client.wait(submissions, WAIT_S, until="delivered")
        assert client.progress.height == blocks_before + 1, "it knows how far the chain is before it sends"
        assert client.progress.final == 0
        validator.make_final()
        client.wait(submissions, WAIT_S)
        assert {submission.height for submission in submissions} == {blocks_before + 2}


def test_while_the_chain_cannot_be_read_nothing_is_sent_and_what_is_too_old_fails(
    chain: Genesis, log: FlakyLog
) -> None:
    log.unreadable.add(chain.topic_name("blocks"))
    with Client(log, chain, ClientSettings(linger_ms=0, retry_ms_max=1)) as client:
        submission = client.submit(client.sign(key(0), transfer([key(1).address], [1])))
        client.wait([submission], WAIT_S)
        assert submission.failure
        assert log.values(chain.topic) == []


@pytest.mark.parametrize("kind", ["transactions", "blocks"])
def test_a_missing_topic_stops_the_client_with_its_name(kind: str, chain: Genesis, log: FlakyLog) -> None:
    log.missing.add(chain.topic_name(kind))
    with Client(log, chain, SETTINGS) as client:
        payment = client.sign(key(0), transfer([key(1).address], [1]))
        with pytest.raises(ClientStopped, match=kind):
            client.wait(client.submit_all([payment]), WAIT_S)


def test_closing_sends_what_lingers(chain: Genesis, log: FlakyLog) -> None:
    with Client(log, chain, ClientSettings(linger_ms=60_000, follow=False)) as client:
        client.submit(client.sign(key(0), transfer([key(1).address], [1])))
    assert len(log.values(chain.topic)) == 1


def test_what_no_node_would_accept_is_not_signed(client: Client) -> None:
    with pytest.raises(ValueError, match="amount"):
        client.sign(key(0), transfer([key(1).address], [0]))


def test_progress_is_reported_while_waiting(client: Client, validator: MiniValidator) -> None:
    submission = client.submit(client.sign(key(0), transfer([key(1).address], [1])))
    seen: list[Progress] = []
    client.wait([submission], WAIT_S, until="delivered", on_progress=seen.append)
    assert (seen[-1].submitted, seen[-1].delivered, seen[-1].final) == (1, 1, 0)
