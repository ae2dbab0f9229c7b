"""The HTTP API of a running node: what an application sends and reads, and what it may cost."""

import json
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from random import Random
from struct import pack
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from api.reading.listing import PAGE_BYTES_MAX
from cli.main import run_line
from ledger.commands import CreateAsset, CreateObject, Transfer, UpdateObject
from ledger.keys import PrivateKey
from ledger.transaction import Transaction, digest_of, encode_batch, encode_transaction
from serving.problems import CODES
from tests.api_node import BODY_BYTES_MAX, BURST, TO, ApiNode, api_node, document
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
CUTS = 50
CONTENT_BYTES = 50_000
BATCH = BODY_BYTES_MAX // CONTENT_BYTES - 1
SCHEMATHESIS = Path(__file__).parents[1] / "schemathesis.toml"


@pytest.fixture(scope="module")
def node() -> Iterator[ApiNode]:
    with api_node() as running:
        yield running


def code_of(answer: httpx.Response) -> str:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["title"]) == CODES[problem["code"]]
    assert answer.status_code == problem["status"]
    return str(problem["code"])


@pytest.mark.parametrize(("wait", "states"), [("delivered", ("delivered", "final")), ("final", ("final",))])
def test_waiting_ends_with_the_state_that_was_waited_for(node: ApiNode, wait: str, states: tuple[str, ...]) -> None:
    answer = node.post(node.sign(), wait)
    assert answer.json()["state"] in states
    assert answer.json()["offset"] is not None


def test_a_transaction_is_seen_with_its_effects_once_it_executed(node: ApiNode) -> None:
    recipient = secrets.token_bytes(32)
    answer = node.post(node.sign(Transfer(node.asset, recipient, pack(">q", 1))))
    assert answer.status_code == 200
    told = answer.json()
    assert told["state"] == "executed"
    assert [(each["recipient"], each["amount"]) for each in told["transfers"]] == [(recipient.hex(), "1")]
    assert node.get(f"/transactions/{told['digest']}").json() == told
    assert node.get(f"/addresses/{recipient.hex()}/balances/{node.asset.hex()}").json()["amount"] == "1"


def test_the_same_transaction_again_changes_nothing(node: ApiNode) -> None:
    transaction = node.sign()
    first, again = node.post(transaction), node.post(transaction)
    assert first.json() == again.json()
    rejections = node.get("/rejections", signer=node.key.address.hex()).json()["items"]
    assert first.json()["digest"] not in [each["digest"] for each in rejections]


def test_a_rejected_transaction_says_why(node: ApiNode) -> None:
    poor = PrivateKey.generate()
    told = node.post(node.sign(key=poor)).json()
    assert (told["state"], told["rejected"]["reason"]) == ("rejected", "insufficient_balance")
    assert node.get(f"/transactions/{told['digest']}").json()["state"] == "rejected"


def test_avro_records_are_taken_as_the_log_takes_them(node: ApiNode) -> None:
    head = {"Content-Type": "application/avro"}
    many = [node.sign() for _ in range(20)]
    posts = [("/transactions", encode_transaction(node.sign())), ("/batches", encode_batch(many))]
    for path, content in posts:
        answer = httpx.post(node.base + path, content=content, headers=head, params={"wait": "executed"})
        told = answer.json()
        assert answer.status_code == 200
        assert {each["state"] for each in told.get("transactions", [told])} == {"executed"}


def test_a_batch_with_one_that_no_node_would_execute_is_not_taken(node: ApiNode) -> None:
    good, late = node.sign(), node.sign(valid_for_ms=-1)
    answer = httpx.post(node.base + "/batches", json={"transactions": [document(good), document(late)]})
    assert (code_of(answer), answer.json()["reason"]) == ("rejected", "expired")
    assert code_of(node.get(f"/transactions/{answer_digest(node, good)}")) == "not_found"


def answer_digest(node: ApiNode, transaction: Transaction) -> str:
    return digest_of(node.genesis.digest, transaction).hex()


KEYS = {
    "/blocks": ("height",),
    "/checkpoints": ("height",),
    "/assets": ("asset",),
    "/drills": ("drill",),
    "/objects": ("object",),
    "/writes": ("height", "transaction", "command"),
    "/balances": ("address", "asset"),
}


@pytest.mark.parametrize(
    "path",
    [
        "/blocks",
        "/transactions",
        "/transfers",
        "/rejections",
        "/checkpoints",
        "/assets",
        "/drills",
        "/objects",
        "/writes",
        "/balances",
    ],
)
@pytest.mark.parametrize("order", ["newest", "oldest"])
def test_pages_hold_every_row_once_in_order(node: ApiNode, path: str, order: str) -> None:
    if path == "/assets" and order == "newest":
        node.post(node.sign(*(CreateAsset(f"a{n}", 0, node.key.address) for n in range(5))))
    if path == "/objects" and order == "newest":
        node.post(node.sign(*(CreateObject("note", "text/plain", bytes([n]), None) for n in range(5))))
    node.post(node.sign())
    time.sleep(0.2)
    rows: list[Any] = []
    cursor: dict[str, str] = {}
    whole = node.get(path, limit=1000, order=order).json()["items"]
    while True:
        page = node.get(path, limit=2, order=order, **cursor).json()
        rows += page["items"]
        if page["next"] is None:
            break
        cursor = {"cursor": page["next"]}
    key = KEYS.get(path, ("height", "index"))
    keys, before = ([tuple(row[name] for name in key) for row in each] for each in (rows, whole))
    new = len(keys) - len(before)
    assert (keys[new:] if order == "newest" else keys[: len(before)]) == before
    assert all((first < then) == (order == "oldest") and first != then for first, then in pairwise(keys))


def test_every_read_tells_the_height_it_is_of_and_is_not_sent_twice(node: ApiNode) -> None:
    first = node.get("/blocks/1")
    assert int(first.headers["Momus-Height"]) >= 1
    again = httpx.get(node.base + "/blocks/1", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = httpx.get(node.base + "/blocks/1", headers={"If-None-Match": '"other"'})
    assert other.json() == first.json()


def test_objects_are_seen_with_all_their_versions(node: ApiNode) -> None:
    made = node.new_object()
    update = UpdateObject(bytes.fromhex(made["object"]), 1, "text/plain", b"\xff")
    node.post(node.sign(update))
    now = node.get(f"/objects/{made['object']}").json()
    assert (now["version"], now["content"], now["content_bytes"], now["proof"]) == (2, None, "ff", None)
    history = node.get(f"/objects/{made['object']}/history").json()["items"]
    assert [(each["version"], each["content"]) for each in history] == [(2, None), (1, '{"a": 1}')]


def test_a_page_of_large_contents_is_short_and_the_pages_hold_them_all(node: ApiNode) -> None:
    made = node.new_object()["object"]
    versions = 1 + PAGE_BYTES_MAX // CONTENT_BYTES + 5
    for first in range(1, versions, BATCH):
        many = [
            node.sign(UpdateObject(bytes.fromhex(made), version, "text/plain", b"x" * CONTENT_BYTES))
            for version in range(first, min(first + BATCH, versions))
        ]
        head = {"Content-Type": "application/avro"}
        httpx.post(node.base + "/batches", content=encode_batch(many), headers=head, params={"wait": "executed"})
    path = f"/objects/{made}/history"
    pages = [node.get(path, limit=1_000).json()]
    while (cursor := pages[-1]["next"]) is not None:
        pages.append(node.get(path, limit=1_000, cursor=cursor).json())
    assert len(pages) == 2
    assert [each["version"] for page in pages for each in page["items"]] == list(range(versions, 0, -1))


def test_balances_are_listed_of_one_asset_too(node: ApiNode) -> None:
    node.post(node.sign())
    found = node.get("/balances", asset=node.asset.hex(), limit=1_000).json()["items"]
    assert {each["asset"] for each in found} == {node.asset.hex()}
    assert TO.hex() in {each["address"] for each in found}
    assert node.get("/balances", asset="0" * 64).json()["items"] == []


def test_an_id_is_looked_up_whatever_it_is_of(node: ApiNode) -> None:
    transaction = node.post(node.sign()).json()["digest"]
    kinds = {
        transaction: ["transaction"],
        node.new_object()["object"]: ["object"],
        node.asset.hex(): ["asset"],
        TO.hex(): ["address"],
        "0" * 64: [],
    }
    assert {id: node.get(f"/lookup/{id}").json()["kinds"] for id in kinds} == kinds


def test_a_proof_verifies_offline(node: ApiNode, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = node.new_object()["object"]
    deadline = time.monotonic() + WAIT_S
    while True:
        node.post(node.sign())
        proof = node.get(f"/objects/{made}", proof=True).json().get("proof") or {}
        if proof.get("exists"):
            break
        assert time.monotonic() < deadline
        time.sleep(0.3)
    absent = node.get(f"/proofs/balance/{node.asset.hex()}/{'ee' * 32}").json()
    assert not absent["exists"]
    for shown in (proof, absent):
        file = tmp_path / "a.proof"
        file.write_bytes(bytes.fromhex(shown["file"]))
        capsys.readouterr()
        genesis = str(node.node.home.genesis_file)
        assert run_line(["verify", str(file), "--genesis", genesis, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["height"] == shown["height"]


def test_the_node_tells_of_itself(node: ApiNode) -> None:
    status = node.get("/status").json()
    assert status["database"]["height"] >= 1
    assert {each["name"]: each["is_alive"] for each in status["processes"]}["api"]
    (member,) = node.get("/validators").json()["items"]
    assert member["is_this_node"]
    assert member["blocks"] >= 1
    heads = node.get("/heads").json()["items"]
    assert sum(each["end_offset"] for each in heads) >= 1


def test_nodes_that_announce_themselves_are_listed(node: ApiNode) -> None:
    (peer,) = node.get("/peers").json()["items"]
    assert peer["is_self"]
    assert bytes.fromhex(peer["public_key"]) == node.genesis.validators[0].consensus_key


def test_evidence_is_listed_and_given(node: ApiNode) -> None:
    folder = node.node.home.evidence
    folder.mkdir(exist_ok=True)
    name = f"evidence-{'0' * 16}"
    (folder / f"{name}.json").write_text('{"what": "evidence"}')
    assert name in [each["name"] for each in node.get("/evidence").json()["items"]]
    assert node.get(f"/evidence/{name}").json() == {"what": "evidence"}
    assert code_of(node.get(f"/evidence/{'x' * 8}-{'1' * 16}")) == "not_found"


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/blocks/0", "not_found"),
        ("/blocks/99999999999", "not_found"),
        ("/blocks/-1", "invalid_request"),
        ("/blocks/99999999999999999999", "invalid_request"),
        ("/blocks?limit=0", "invalid_request"),
        ("/blocks?limit=1001", "invalid_request"),
        ("/blocks?cursor=1-2", "invalid_request"),
        ("/blocks?cursor=99999999999999999999", "invalid_request"),
        ("/blocks?cursor=%27%3B--", "invalid_request"),
        ("/blocks?unknown=1", "invalid_request"),
        ("/transactions/AB", "invalid_request"),
        ("/transactions?signer=" + "g" * 64, "invalid_request"),
        ("/objects/" + "0" * 64, "not_found"),
        ("/evidence/..%2F..%2Fkeys", "not_found"),
        ("/evidence/%2e%2e", "invalid_request"),
        ("/streams/blocks?after=x", "invalid_request"),
        ("/streams/effects?after=1-2-3", "invalid_request"),
        ("/streams/effects?after=1-1-9999999999", "invalid_request"),
        ("/nothing", "not_found"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_with_a_code(node: ApiNode, path: str, code: str) -> None:
    assert code_of(node.get(path)) == code


@pytest.mark.parametrize(
    "digit", ["\u0663", "\uff11", str(2**63), "-1", "0x1", "1e3", "NaN", "true", "9" * 5_000, "\0", "'; --"]
)
def test_numbers_are_ascii_digits_within_their_range(node: ApiNode, digit: str) -> None:
    for path, name in (("/blocks", "limit"), ("/blocks", "cursor"), ("/transactions", "height"), ("/writes", "cursor")):
        assert code_of(node.get(path, **{name: digit})) == "invalid_request"
    assert node.get(f"/blocks/{quote(digit, safe='')}").status_code == 422


@pytest.mark.parametrize(
    "path", ["%00", "%ff", "..%2fapp.py", "%2e%2e/%2e%2e/app.py", "x" * 3_000, "%ed%a0%80", "\\..\\app.py"]
)
def test_nothing_but_the_files_of_the_page_is_given_below_page(node: ApiNode, path: str) -> None:
    at = urlsplit(node.base)
    with socket.create_connection((at.hostname, at.port), timeout=WAIT_S) as connection:
        connection.sendall(f"GET /page/{path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(100).startswith(b"HTTP/1.1 404 ")


@pytest.mark.parametrize("path", ["/", "/healthz", "/readyz", "/page/main.js"])
def test_who_asks_for_the_head_alone_gets_it(node: ApiNode, path: str) -> None:
    answer = httpx.head(node.base.removesuffix("/v1") + path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_other_methods_are_refused_with_those_that_there_are(node: ApiNode) -> None:
    answer = httpx.delete(node.base + "/blocks")
    assert (code_of(answer), answer.headers["allow"]) == ("method_not_allowed", "GET")


def test_hostile_bodies_are_refused_and_nothing_else_happens(node: ApiNode) -> None:
    chance = Random(1)
    good = document(node.sign())
    bodies: list[tuple[bytes, str, str]] = [
        (b"", "application/json", "invalid_request"),
        (b"[" * 50_000, "application/json", "invalid_request"),
        (b'{"body": 1}', "application/json", "invalid_request"),
        (json.dumps({**good, "more": 1}).encode(), "application/json", "invalid_request"),
        (json.dumps({**good, "body": "0"}).encode(), "application/json", "invalid_request"),
        (json.dumps({**good, "body": "00"}).encode(), "application/json", "rejected"),
        (json.dumps({**good, "public_key": "00" * 32}).encode(), "application/json", "rejected"),
        (json.dumps({**good, "signature": "00" * 64}).encode(), "application/json", "rejected"),
        ('{"body": "\ud800"}'.encode("utf-8", "surrogatepass"), "application/json", "invalid_request"),
        (b"\x00" * 100, "application/avro", "rejected"),
        (b"x", "text/plain", "unsupported_media_type"),
        (bytes(BODY_BYTES_MAX + 1), "application/avro", "body_too_large"),
        *((chance.randbytes(chance.randrange(300)), "application/avro", "rejected") for _ in range(50)),
    ]
    for content, media_type, code in bodies:
        answer = httpx.post(node.base + "/transactions", content=content, headers={"Content-Type": media_type})
        assert code_of(answer) == code, content[:50]
    assert node.post(node.sign()).json()["state"] == "executed"


def test_a_body_without_end_is_cut_off(node: ApiNode) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(BODY_BYTES_MAX // 1000 + 10):
            yield bytes(1000)

    answer = httpx.post(node.base + "/transactions", content=endless(), headers={"Content-Type": "application/avro"})
    assert code_of(answer) == "body_too_large"


def test_a_body_that_does_not_come_is_not_waited_for(node: ApiNode) -> None:
    at = urlsplit(node.base)
    with socket.create_connection((at.hostname, at.port), timeout=WAIT_S) as connection:
        head = (
            b"POST /v1/transactions HTTP/1.1\r\nHost: a\r\nContent-Type: application/avro\r\nContent-Length: 9\r\n\r\n"
        )
        connection.sendall(head + b"123")
        assert connection.recv(100).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize(
    "operations",
    [
        ("--exclude-path-regex", "streams", "--max-examples", "12"),
        ("--include-path-regex", "streams", "--max-examples", "2", "--phases", "coverage"),
    ],
)
def test_the_api_does_what_its_document_says(node: ApiNode, operations: tuple[str, ...], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(SCHEMATHESIS), "run"]
    options = ["--checks", "all", "--seed", "1", "--no-color", "--generation-database", "none"]
    url = node.base + "/openapi.json"
    done = subprocess.run([*command, url, *options, *operations], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]


class Reader:
    """A consumer of a stream that is cut off whenever it likes, and goes on from the last id it saw."""

    def __init__(self, node: ApiNode, path: str, after: str) -> None:
        self._url = node.base + path
        self._last = after
        self.ids: list[str] = []
        self.events: list[dict[str, Any]] = []

    def read(self, events_max: int) -> None:
        """Until this connection ends, or that many events later."""
        with httpx.stream("GET", self._url, headers={"Last-Event-ID": self._last}, timeout=WAIT_S) as stream:
            assert stream.status_code == 200, stream.read()
            taken = 0
            for line in stream.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    pending = value
                elif name == "data":
                    self._last = pending
                    self.ids.append(pending)
                    self.events.append(json.loads(value))
                    taken += 1
                    if taken >= events_max:
                        return


def test_streams_that_are_cut_off_50_times_miss_and_repeat_nothing(node: ApiNode) -> None:
    start = node.get("/status").json()["database"]["height"]
    chance = Random(7)
    ended = threading.Event()

    def load() -> list[str]:
        sent = []
        while not ended.is_set():
            many = [node.sign() for _ in range(5)] + [node.sign(key=PrivateKey.generate())]
            answer = httpx.post(node.base + "/batches", json={"transactions": list(map(document, many))})
            sent += [each["digest"] for each in answer.json()["transactions"]]
            time.sleep(0.02)
        return sent

    blocks, effects = Reader(node, "/streams/blocks", str(start)), Reader(node, "/streams/effects", str(start))
    with ThreadPoolExecutor(1) as pool:
        sending = pool.submit(load)
        for _ in range(CUTS):
            blocks.read(chance.randrange(1, 8))
            effects.read(chance.randrange(1, 40))
        ended.set()
        sent = sending.result()
    deadline = time.monotonic() + WAIT_S
    while len(effects.ids) < len(sent):
        effects.read(1_000)
        blocks.read(1_000)
        assert time.monotonic() < deadline
    assert [_digest(event) for event in effects.events] == _once(effects)
    assert sorted(map(_digest, effects.events)) == sorted(sent)
    assert [int(each) for each in blocks.ids] == list(range(start + 1, start + 1 + len(blocks.ids)))
    transfers = [each for event in effects.events for each in event.get("transfers", [])]
    assert len(transfers) == len([event for event in effects.events if event["state"] == "executed"])


def _digest(event: dict[str, Any]) -> str:
    return str(event["digest"] if event["state"] == "executed" else event["rejected"]["digest"])


def _once(reader: Reader) -> list[str]:
    return list(dict.fromkeys(map(_digest, reader.events)))


def test_more_streams_than_are_allowed_are_refused(node: ApiNode) -> None:
    with ThreadPoolExecutor(24) as pool:
        codes = list(pool.map(lambda _: node.get("/streams/blocks").status_code, range(24)))
    assert set(codes) == {200, 503}


def test_transactions_become_final_during_a_flood(node: ApiNode) -> None:
    """How many are let through is a matter of the clock: tests/unit/test_api_bounds.py."""

    def flood(_: int) -> set[int]:
        with httpx.Client(timeout=WAIT_S) as client:
            return {client.get(node.base + "/heads").status_code for _ in range(BURST // 16)}

    with ThreadPoolExecutor(16) as pool:
        flooding = [pool.submit(flood, number) for number in range(16)]
        # Whom the flood keeps out of the API reaches the log.
        command = ["submit", "transfer", "dev", "1", "--to", TO.hex(), "--home", str(node.node.home.path)]
        assert run_line(command) == 0
        codes = set().union(*(each.result() for each in flooding))
    assert codes <= {200, 429, 503}
    answer = node.get("/heads")
    while answer.status_code == 429:
        assert int(answer.headers["Retry-After"]) >= 1
        time.sleep(0.1)
        answer = node.get("/heads")
    assert node.post(node.sign(Transfer(node.asset, TO, (1).to_bytes(8, "big")))).json()["state"] == "executed"


def test_problem_codes_are_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "api.md").read_text()
    assert [code for code in CODES if f"| `{code}` | {CODES[code][0]} |" not in text] == []


UPGRADE = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
GARBAGE = (
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9),
    UPGRADE + b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    UPGRADE + b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: eHh4eHh4eHh4eHh4eHh4eA==\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
    bytes(range(256)) * 4,
    b"GET /\x1b[31m\x07\xe2\x80\xae HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * (1 << 17) + b"\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"POST /v1/batches HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    b"POST /v1/batches HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\x1b[31m",
)
ROUNDS = 30
LINES_MAX = 100
"""Of some hundred requests: a body that breaks off in its middle is logged twice, and of each kind a burst at most."""


def test_whatever_is_sent_to_its_socket_a_node_writes_a_few_lines_of_its_own(node: ApiNode) -> None:
    """A client that would rather speak HTTP/2 wrote a line of the server's library with each of its requests."""
    port = int(urlsplit(node.base).port or 0)
    before = node.node.log_file.stat().st_size
    for garbage in GARBAGE * ROUNDS:
        with socket.create_connection(("127.0.0.1", port), 10) as connection, suppress(OSError):
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1 << 16)
    assert httpx.get(f"http://127.0.0.1:{port}/healthz").json() == {"alive": True}
    with node.node.log_file.open("rb") as log:
        log.seek(before)
        lines = log.read().decode().splitlines()
    assert [line for line in lines if not line.startswith("{") or "event" not in json.loads(line)] == []
    assert len(lines) <= LINES_MAX
