"""Records fetched from other nodes over real sockets: from who is honest, whatever the others say."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from backbone.intake.retained_records import RetainedRecords
from backbone.store import StoredRecord, StoreWriter
from ledger.header import Head
from sync import peers as peers_module
from sync.asked import PATH, Asked
from sync.peers import PeerLimits, PeerRecords
from sync.records import END_FRAME, MEDIA_TYPE, RangeLimits, encode_frames
from sync.server import RecordLimits
from tests.peer_servers import Misbehave, drips, hangs, honest, liar, sends, unused_address
from tests.store_records import chained, numbered, start

RECORDS = chained([*numbered(300), (300, None), (302, b""), (305, bytes(600_000)), (306, b"last")])
START = Head(0, 0, 0, start(0))
WHOLE = Head(0, 0, 307, RECORDS[-1].chain_digest)
QUICK = PeerLimits(connect_ms=1_000, silence_ms=1_000, request_ms=2_000, fetch_ms=60_000)


def head(records: int) -> Head:
    """The head that the first records make."""
    last = RECORDS[records - 1]
    return Head(0, 0, last.offset + 1, last.chain_digest)


@dataclass
class Clock:
    """Seconds that pass when a test says so."""

    now_s: float = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that holds RECORDS."""
    path = tmp_path / "store"
    with StoreWriter(path) as writer:
        writer.append(0, RECORDS)
        writer.sync()
    return path


@pytest.fixture
def address(store: Path) -> Iterator[str]:
    """Of an honest peer."""
    with honest(store) as (url, _):
        yield url


def answer(body: bytes, head: bytes = b"", length: int | None = None) -> bytes:
    """A response of status 200 as the real server gives it."""
    size = len(body) if length is None else length
    return b"HTTP/1.1 200 OK\r\ncontent-type: %s\r\ncontent-length: %d\r\n%s\r\n%s" % (
        MEDIA_TYPE.encode(),
        size,
        head,
        body,
    )


def test_records_come_from_a_peer_that_holds_them(address: str) -> None:
    peers = PeerRecords([address])
    assert peers.fetch(START, WHOLE) == RECORDS
    assert peers.fetch(head(299), head(302)) == RECORDS[299:302]
    assert peers.peers[0].answers == 2


def test_who_does_not_hold_exactly_these_records_says_so(address: str) -> None:
    peers = PeerRecords([address])
    beyond = Head(0, 0, 400, bytes(32))
    for before, target in [
        (START, beyond),
        (START, replace(WHOLE, chain_digest=bytes(32))),
        (START, replace(WHOLE, end_offset=306)),
        (replace(head(3), chain_digest=bytes(32)), WHOLE),
        (replace(START, incarnation=1), replace(WHOLE, incarnation=1)),
    ]:
        assert peers.fetch(before, target) is None
    assert (peers.peers[0].misses, peers.peers[0].wrongs, peers.peers[0].failures) == (5, 0, 0)
    assert peers.fetch(START, WHOLE) == RECORDS


def test_what_was_set_aside_is_served(tmp_path: Path, store: Path, address: str) -> None:
    other = chained(numbered(4, first=300), head(300).chain_digest)
    RetainedRecords(store / "aside").keep(0, other)
    target = Head(0, 0, 304, other[-1].chain_digest)
    assert PeerRecords([address]).fetch(head(300), target) == other
    assert PeerRecords([address]).fetch(head(299), target) is None, "it begins above"


def test_a_store_that_is_not_there_yet_is_served_once_it_is(tmp_path: Path) -> None:
    with honest(tmp_path / "store") as (url, _):
        peers = PeerRecords([url])
        assert peers.fetch(START, WHOLE) is None
        with StoreWriter(tmp_path / "store") as writer:
            writer.append(0, RECORDS)
        assert peers.fetch(START, WHOLE) == RECORDS


def test_a_record_replaced_in_the_store_is_served_anew(store: Path, address: str) -> None:
    other = chained(numbered(5, first=200), head(200).chain_digest)
    peers = PeerRecords([address])
    assert peers.fetch(START, WHOLE) == RECORDS
    with StoreWriter(store) as writer:
        writer.replace_suffix(0, 200, 0)
        writer.append(0, other)
    assert peers.fetch(START, WHOLE) is None
    assert peers.fetch(head(200), Head(0, 0, 205, other[-1].chain_digest)) == other


WRONG: dict[str, Misbehave] = {
    "another value": sends(answer(encode_frames([RECORDS[0]._replace(value=b"x"), *RECORDS[1:]]) + END_FRAME)),
    "another chain": sends(answer(encode_frames(chained(numbered(307), bytes(32))) + END_FRAME)),
    "wrong order": sends(answer(encode_frames(RECORDS[::-1]) + END_FRAME)),
    "too few": sends(answer(encode_frames(RECORDS[:-1]) + END_FRAME)),
    "extra records": sends(answer(encode_frames([*RECORDS, StoredRecord(307, 0, b"", b"")]) + END_FRAME)),
    "no end": sends(answer(encode_frames(RECORDS))),
    "nothing": sends(answer(b"")),
    "impossible length": sends(answer(b"\xf0\x00\x00\x00")),
    "redirect": sends(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
    "no content": sends(b"HTTP/1.1 204 No Content\r\n\r\n"),
    "a web page": sends(b"HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 2\r\n\r\nhi"),
    "compressed": sends(answer(b"\x1f\x8b", b"content-encoding: gzip\r\n")),
}
FAILING: dict[str, Misbehave] = {
    "status 500": sends(b"HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
    "status 503": sends(b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"),
    "hangs": hangs,
    "closes": sends(),
    "not http": sends(b"\x00\x01\x02 hello\r\n\r\n"),
    "cut off": sends(answer(encode_frames(RECORDS)[:-7], length=1_000_000)),
    "huge headers": sends(b"HTTP/1.1 200 OK\r\n", b"x-filling: y\r\n" * 20_000, b"\r\n"),
    "endless headers": drips(b"HTTP/1.1 200 OK\r\n", b"x-drop: 1\r\n", 0.02),
    "slow drip": drips(answer(b"\x00\x0f\xff\xff" + bytes(8), length=1 << 20), b"\x00", 0.02),
    "endless body": drips(answer(b"\x00\xff\xff\xff" + bytes(8), length=1 << 30), bytes(1 << 20), 0.0001),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_liar_is_left_for_a_long_time_and_the_honest_one_asked(name: str, address: str) -> None:
    clock = Clock()
    with liar(WRONG[name]) as lying:
        peers = PeerRecords([lying, address], QUICK, now_s=clock)
        assert peers.fetch(START, WHOLE) == RECORDS
        assert (peers.peers[0].wrongs, peers.peers[0].failures) == (1, 0), peers.peers[0].last_trouble
        assert peers.peers[0].again_at_s == peers_module.WRONG_S.first
        clock.now_s = peers_module.WRONG_S.first - 1
        assert all(peers.fetch(START, WHOLE) == RECORDS for _ in range(2))
        assert peers.peers[0].wrongs == 1, "it was not asked"
        clock.now_s = peers_module.WRONG_S.first
        assert all(peers.fetch(START, WHOLE) == RECORDS for _ in range(2))
        assert peers.peers[0].again_at_s == 3 * peers_module.WRONG_S.first, "twice as long"


@pytest.mark.parametrize("name", FAILING)
def test_one_that_does_not_answer_is_left_for_a_short_time_and_the_honest_one_asked(name: str, address: str) -> None:
    limits = replace(QUICK, range=RangeLimits(bytes_max=2 << 20))
    clock = Clock()
    with liar(FAILING[name]) as failing:
        peers = PeerRecords([failing, address], limits, now_s=clock)
        assert peers.fetch(START, WHOLE) == RECORDS
        assert (peers.peers[0].wrongs, peers.peers[0].failures) == (0, 1), peers.peers[0].last_trouble
        assert peers.peers[0].again_at_s == peers_module.FAILED_S.first


def test_all_liars_together_do_not_keep_the_honest_one_from_answering(address: str) -> None:
    with ExitStack() as stack:
        lying = [stack.enter_context(liar(misbehave)) for misbehave in (*WRONG.values(), *FAILING.values())]
        reports: list[str] = []
        limits = replace(QUICK, range=RangeLimits(bytes_max=2 << 20))
        peers = PeerRecords(
            [*lying, unused_address(), address], limits, report=lambda what, facts: reports.append(str(facts["url"]))
        )
        assert peers.fetch(START, WHOLE) == RECORDS
        assert reports[: len(lying)] == lying


def test_time_for_all_peers_is_bounded_and_the_next_fetch_begins_with_the_next(address: str) -> None:
    limits = PeerLimits(silence_ms=60_000, request_ms=60_000, fetch_ms=1_500)
    with liar(hangs) as hanging:
        peers = PeerRecords([hanging, address], limits)
        assert peers.fetch(START, WHOLE) is None
        assert peers.fetch(START, WHOLE) == RECORDS


def test_one_that_cannot_be_reached_is_asked_again_after_growing_times(address: str) -> None:
    clock = Clock()
    peers = PeerRecords([unused_address()], QUICK, now_s=clock)
    waits = []
    for _ in range(9):
        assert peers.fetch(START, WHOLE) is None
        waits.append(peers.peers[0].again_at_s - clock.now_s)
        assert peers.fetch(START, WHOLE) is None, "nobody is asked"
        clock.now_s = peers.peers[0].again_at_s
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert peers.status()[0]["failures"] == 9


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://",
        "nonsense",
        "127.0.0.1:1",
        "ftp://127.0.0.1:1",
        "http://127.0.0.1:99999",
        "http://[::1",
        "http://h:1/path",
        "http://user@h:1",
        "http://h:1?a=b",
    ],
)
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="is no address"):
        PeerRecords([url])


def test_heads_that_no_range_lies_between_are_asked_of_nobody() -> None:
    peers = PeerRecords([unused_address()])
    assert peers.fetch(WHOLE, WHOLE) is None
    assert peers.fetch(WHOLE, START) is None
    assert peers.fetch(START, replace(WHOLE, incarnation=1)) is None
    assert peers.fetch(START, replace(WHOLE, partition=1)) is None
    assert PeerRecords([]).fetch(START, WHOLE) is None
    assert peers.peers[0].failures == 0


# --- the server's side ---


def test_a_range_beyond_the_bounds_of_an_answer_is_refused(store: Path) -> None:
    for answer_limits in (RangeLimits(303, 1 << 30), RangeLimits(1_000, 600_000)):
        with honest(store, RecordLimits(answer=answer_limits)) as (url, records):
            assert PeerRecords([url]).fetch(START, WHOLE) is None
            assert PeerRecords([url]).fetch(START, head(300)) == RECORDS[:300]
        assert records.counts == {"too_large": 1, "answered": 1}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", PATH, 400),
        ("GET", f"{PATH}?partition=0", 400),
        ("GET", "/", 404),
        ("GET", "/v1/records/..%2f..%2fkeys", 404),
        ("POST", PATH, 405),
        ("DELETE", PATH, 405),
    ],
)
def test_a_request_that_is_none_gets_a_problem(address: str, method: str, path: str, status: int) -> None:
    response = httpx.request(method, address + path, trust_env=False)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["status"] == status


def test_more_requests_than_may_be_carried_out_at_once_are_refused(store: Path) -> None:
    with honest(store, RecordLimits(requests_max=1)) as (url, records):
        slow = socket.create_connection(("127.0.0.1", int(url.rpartition(":")[2])))
        query = httpx.QueryParams(Asked(START, WHOLE).query())
        with slow:
            slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            slow.sendall(f"GET {PATH}?{query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
            slow.recv(1)
            first = httpx.get(url + PATH, params=Asked(START, head(1)).query(), trust_env=False).status_code
        assert first in (200, 503), "the kernel may have taken the whole answer"
        assert records.counts.get("busy", 0) == (first == 503)


def test_a_loop_of_its_own_does_not_need_to_be_free(address: str) -> None:
    async def within() -> list[StoredRecord] | None:
        return await asyncio.to_thread(PeerRecords([address]).fetch, START, WHOLE)

    assert asyncio.run(within()) == RECORDS
