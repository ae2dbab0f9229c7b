"""A running node with its API, and somebody who signs transactions and sends them there."""

import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from struct import pack
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from cli.main import run_line
from lab.demo.local_node import LocalNode
from ledger.commands import Command, CreateObject, Transfer
from ledger.genesis import Genesis
from ledger.keys import PrivateKey
from ledger.transaction import Body, Transaction, sign_body
from node.embedded.broker import free_ports
from node.home.keystore import load_key
from node.home.layout import Home
from tests.patience import WAIT_S

BODY_BYTES_MAX = 1 << 18
RATE_PER_S = 400
BURST = 2_000
STREAM_MS = 400
SETTINGS = {
    "MOMUS_API__BODY_BYTES_MAX": str(BODY_BYTES_MAX),
    "MOMUS_API__BODY_MS": "1500",
    "MOMUS_API__RATE_PER_S": str(RATE_PER_S),
    "MOMUS_API__BURST": str(BURST),
    "MOMUS_API__STREAMS_MAX": "8",
    "MOMUS_API__STREAM_MS": str(STREAM_MS),
}


@dataclass
class ApiNode:
    """`base` ends with /v1."""

    node: LocalNode
    base: str
    genesis: Genesis
    key: PrivateKey

    def get(self, path: str, **parameters: Any) -> httpx.Response:
        """One read."""
        return httpx.get(self.base + path, params=parameters or None, timeout=WAIT_S)

    def post(self, transaction: Transaction, wait: str = "executed", **more: Any) -> httpx.Response:
        """Submit as JSON."""
        return httpx.post(
            self.base + "/transactions", json=document(transaction), params={"wait": wait, **more}, timeout=WAIT_S
        )

    def sign(self, *commands: Command, valid_for_ms: int = 600_000, key: PrivateKey | None = None) -> Transaction:
        """A transaction of the dev key; by default a transfer of one unit to TO."""
        body = Body(
            nonce=secrets.token_bytes(16),
            expires_at_ms=time.time_ns() // 1_000_000 + valid_for_ms,
            reference=b"api",
            commands=commands or (Transfer(self.asset, TO, pack(">q", 1)),),
        )
        return sign_body(key or self.key, self.genesis.digest, body)

    @cached_property
    def asset(self) -> bytes:
        """The dev asset, once it is there."""
        deadline = time.monotonic() + WAIT_S
        while not (items := self.get("/assets").json().get("items")):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return bytes.fromhex(items[0]["asset"])

    def new_object(self) -> dict[str, Any]:
        """An object that was just made, as its transaction tells of it."""
        made = self.post(self.sign(CreateObject("note", "application/json", b'{"a": 1}', None)))
        return dict(made.json()["objects"][0])


TO = bytes([7]) * 32


def document(transaction: Transaction) -> dict[str, str]:
    """As JSON."""
    return {
        "body": transaction.body.hex(),
        "public_key": transaction.public_key.hex(),
        "signature": transaction.signature.hex(),
    }


@contextmanager
def api_node() -> Iterator[ApiNode]:
    """One validator with `init --dev`, checkpoints every second, and its API."""
    (port,) = free_ports(1)
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        assert run_line(["init", "--home", str(home), "--dev", "--checkpoint-ms", "1000"]) == 0
        with LocalNode(home, {"MOMUS_API__PORT": str(port), **SETTINGS}) as node:
            place = Home(home)
            client = ApiNode(
                node, f"http://127.0.0.1:{port}/v1", place.genesis(), load_key(place.client_key_file, None)
            )
            node.wait_running(["api"], WAIT_S)
            assert client.asset
            yield client
