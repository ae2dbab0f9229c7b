"""Management of a running node: who may what, what is done, what is written down."""

import io
import json
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import psycopg
import pytest

from api.admin.actions import ADMIN_ACTIONS
from api.admin.app import BURST, RATE_PER_S, Parts, make_admin_app
from cli.admin_client import Access, AdminClient, AdminRefused, AdminUnreachable, admin_client
from cli.main import run_line
from lab.demo.local_node import LocalNode
from node.embedded.broker import free_ports
from node.home.actions import BROKEN_OFF, DONE, UNDER_WAY, Actions
from node.home.layout import Home
from node.home.status import PAUSED
from node.home.tokens import ADMIN, OPERATOR, ROLES, VIEWER, Tokens
from node.wiring import database_url
from serving.charging import Rate
from tests.certificates import certificate
from tests.patience import WAIT_S

pytestmark = [pytest.mark.postgres, pytest.mark.processes]
WHY = "because the test wants it"

READS = {
    ("GET", "/v1/whoami"): VIEWER,
    ("GET", "/v1/status"): VIEWER,
    ("GET", "/v1/config"): VIEWER,
    ("GET", "/v1/actions"): VIEWER,
    ("GET", "/v1/actions/{number}"): VIEWER,
    ("GET", "/v1/diagnostics/{number}"): OPERATOR,
}
ROLE_OF_ACTION = {
    "pause": OPERATOR,
    "resume": OPERATOR,
    "stop": ADMIN,
    "checkpoint": OPERATOR,
    "snapshot": OPERATOR,
    "prune": ADMIN,
    "drill": OPERATOR,
    "log-level": OPERATOR,
    "diagnostics": OPERATOR,
}
TABLE = {**READS, **{("POST", f"/v1/actions/{name}"): role for name, role in ROLE_OF_ACTION.items()}}
"""Which role each endpoint needs, in words of its own."""


@dataclass
class Managed:
    """A node with a token of each role."""

    node: LocalNode
    metrics: str
    tokens: Mapping[str, str]
    folder: Path

    @property
    def home(self) -> Home:
        return self.node.home

    def access(self, role: str) -> Access:
        """With the token of a role."""
        file = self.folder / f"{role}.token"
        file.write_text(self.tokens[role] + "\n")
        return Access(self.home, "", file)

    def act(self, name: str, role: str = OPERATOR, **arguments: Any) -> dict[str, Any]:
        """Have something done; the action when it has ended."""
        with admin_client(self.access(role)) as client:
            return client.act(name, WHY, arguments)

    def ask(self, method: str, path: str, token: str | None, **more: Any) -> httpx.Response:
        """One raw request over the socket."""
        with self.asking(token) as client:
            return client.request(method, path, **more)

    @contextmanager
    def asking(self, token: str | None) -> Iterator[httpx.Client]:
        """A connection to the socket, with a token or without."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        transport = httpx.HTTPTransport(uds=str(self.home.admin_socket))
        with httpx.Client(transport=transport, base_url="http://node", headers=headers, timeout=WAIT_S) as client:
            yield client

    def query(self, statement: str) -> list[tuple[Any, ...]]:
        """Rows of the node's database."""
        with psycopg.connect(database_url(self.home, self.home.settings({}))) as connection:
            return connection.execute(statement.encode()).fetchall()


@pytest.fixture(scope="module")
def managed() -> Iterator[Managed]:
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        place = Path(folder) / "home"
        assert run_line(["init", "--home", str(place), "--dev", "--checkpoint-ms", "500"]) == 0
        (port,) = free_ports(1)
        tokens = Tokens(Home(place).tokens_file)
        made = {role: tokens.add(role, role) for role in ROLES}
        environment = {
            "MOMUS_ADMIN__LISTEN": "unix",
            "MOMUS_METRICS__PORT": str(port),
            "MOMUS_SNAPSHOTS__EVERY_MS": "0",
        }
        with LocalNode(place, environment) as node:
            node.wait_running(["order", "execute", "admin"], WAIT_S)
            yield Managed(node, f"http://127.0.0.1:{port}", made, Path(folder))


def until(is_so: Any, what: str, timeout_s: float = WAIT_S) -> None:
    deadline = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_the_table_of_roles_names_every_endpoint() -> None:
    app = make_admin_app(Parts(None, None, None, None), Rate(RATE_PER_S, BURST))  # type: ignore[arg-type]
    routes = {(method, path) for path, methods in app.openapi()["paths"].items() for method in methods}
    assert {(method.upper(), path) for method, path in routes} == TABLE.keys()
    assert {kind.name: kind.role for kind in ADMIN_ACTIONS} == ROLE_OF_ACTION


@pytest.mark.parametrize(("endpoint", "caller"), list(product(TABLE, (*ROLES, "nobody", "wrong", "basic", "expired"))))
def test_each_endpoint_opens_for_the_roles_that_it_needs_and_for_nobody_else(
    managed: Managed, endpoint: tuple[str, str], caller: str
) -> None:
    method, path = endpoint
    path = path.replace("{number}", "9000000")
    # Without a reason nothing is done, whoever asks.
    if caller in ROLES:
        answer = managed.ask(method, path, managed.tokens[caller])
        may = ROLES.index(caller) >= ROLES.index(TABLE[endpoint])
        good = (200, 404) if method == "GET" else (422,)
        assert answer.status_code in (good if may else (403,)), answer.text
        return
    if caller == "basic":
        answer = managed.ask(method, path, None, headers={"Authorization": f"Basic {managed.tokens[ADMIN]}"})
    elif caller == "expired":
        answer = managed.ask(method, path, _expired(managed))
    else:
        answer = managed.ask(method, path, {"nobody": None, "wrong": managed.tokens[ADMIN] + "x"}[caller])
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert answer.json()["code"] == "unauthorized"


def _expired(managed: Managed) -> str:
    tokens = Tokens(managed.home.tokens_file)
    if any(each.name == "late" for each in tokens.all()):
        tokens.remove("late")
    token = tokens.add("late", ADMIN, valid_for_ms=1)
    time.sleep(0.002)
    return token


def test_a_token_that_was_removed_opens_nothing_from_then_on(managed: Managed) -> None:
    tokens = Tokens(managed.home.tokens_file)
    token = tokens.add("leaver", ADMIN)
    assert managed.ask("GET", "/v1/whoami", token).json()["name"] == "leaver"
    tokens.remove("leaver")
    assert managed.ask("GET", "/v1/whoami", token).status_code == 401


@pytest.mark.parametrize(
    "more",
    [
        {"content": b"{"},
        {"content": b"\xff" * 100},
        {"content": b"[" * 10_000},
        {"json": {"level": "loud"}},
        {"json": {"level": "debug", "more": 1}},
        {"json": None},
        {"json": {"level": "debug"}, "headers": {"Momus-Why": "x"}},
        {"json": {"level": "debug"}, "headers": {"Momus-Why": "x" * 501}},
        {"json": {"level": "debug"}, "headers": {"Momus-Why": b"\xff\xfe\xfd"}},
        {"json": {"level": "debug"}, "headers": {"Momus-Why": "a\tb c d"}},
        {"json": {"level": "debug"}, "params": {"hold_ms": -1}},
        {"json": {"level": "debug"}, "params": {"hold_ms": 1 << 40}},
        {"content": b'{"level": "' + b"d" * (64 << 10) + b'"}'},
    ],
)
def test_what_is_not_as_described_is_refused_and_not_written_down(managed: Managed, more: dict[str, Any]) -> None:
    before = managed.ask("GET", "/v1/actions", managed.tokens[VIEWER]).json()["items"]
    asked = {**more, "headers": {"Momus-Why": WHY, **more.get("headers", {})}}
    answer = managed.ask("POST", "/v1/actions/log-level", managed.tokens[ADMIN], **asked)
    assert answer.status_code in (413, 422), answer.text
    assert managed.ask("GET", "/v1/actions", managed.tokens[VIEWER]).json()["items"] == before


def test_health_is_told_and_a_paused_node_is_alive_and_not_ready(managed: Managed) -> None:
    until(lambda: httpx.get(managed.metrics + "/readyz").status_code == 200, "the node is not ready")
    paused = managed.act("pause", processes=["order"])
    assert (paused["outcome"], paused["result"]) == (DONE, {"paused": ["order"]})
    until(lambda: _state(managed, "order") == PAUSED, "order is not paused")
    assert httpx.get(managed.metrics + "/healthz").json() == {"alive": True}
    answer = httpx.get(managed.metrics + "/readyz")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    told = answer.json()
    assert (told["ready"], told["reasons"]) == (False, ["order is paused; `momus admin resume` lets it go on."])
    assert managed.act("resume")["result"] == {"resumed": ["order"]}
    until(lambda: httpx.get(managed.metrics + "/readyz").json()["ready"], "the node is not ready again")


def _state(managed: Managed, process: str) -> str:
    said = managed.node.status(process)
    return "" if said is None else said.state


def test_a_checkpoint_and_a_snapshot_are_there_when_the_action_has_ended(managed: Managed) -> None:
    covered = managed.act("checkpoint")
    assert covered["outcome"] == DONE
    assert covered["result"]["certified_height"] >= 1
    made = managed.act("snapshot")
    assert made["outcome"] == DONE, made
    assert (managed.home.path / "snapshots" / f"{made['result']['height']:012}").is_dir() or any(
        str(made["result"]["height"]) in folder.name for folder in (managed.home.path / "snapshots").iterdir()
    )
    # It is there already: nothing more is made.
    again = managed.act("snapshot")
    assert again["result"] == made["result"]


def test_a_drill_by_an_operator_is_one_by_hand(managed: Managed) -> None:
    managed.act("snapshot")
    action = managed.act("drill", inject="chunk")
    assert action["outcome"] == DONE
    assert action["result"]["verdict"] == "healed"
    drills = managed.query("SELECT verdict, injected FROM api.drills ORDER BY drill DESC LIMIT 1")
    assert drills[0][0] == "healed"


def test_pruning_beyond_the_chain_is_refused_and_written_down(managed: Managed) -> None:
    action = managed.act("prune", role=ADMIN, to_height=1 << 40)
    assert action["outcome"] == "failed"
    assert "give one below" in action["result"]["reason"]


def test_two_of_a_kind_are_not_done_at_once(managed: Managed) -> None:
    """A drill takes long enough."""
    asked = {"headers": {"Momus-Why": WHY}, "json": {}}
    answers = [managed.ask("POST", "/v1/actions/drill", managed.tokens[OPERATOR], **asked) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 409]
    number = answers[0].json()["number"]
    with admin_client(managed.access(VIEWER)) as client:
        until(lambda: client.get(f"/actions/{number}")["outcome"] != UNDER_WAY, "the drill does not end")


def test_a_bundle_holds_what_a_support_case_needs_and_no_secret(managed: Managed) -> None:
    action = managed.act("diagnostics")
    with admin_client(managed.access(OPERATOR)) as client:
        content = client.download(f"/diagnostics/{action['number']}")
    assert len(content) == action["result"]["size_bytes"]
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        files = {name.partition("/")[2]: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    assert files.keys() >= {
        "settings.json",
        "health.json",
        "postgres.json",
        "metrics.txt",
        "chain.json",
        "actions.jsonl",
    }
    assert json.loads(files["postgres.json"])["status"][0]["height"] >= 1
    assert b"momus_consensus_view" in files["metrics.txt"]
    everything = b"".join(files.values())
    keys = [json.loads(file.read_text()) for file in managed.home.keys.glob("*.json")]
    secrets = [value for key in keys for name, value in key.items() if name == "seed"]
    secrets += [*managed.tokens.values(), managed.home.own_token_file.read_text().strip()]
    assert len(secrets) == 2 + len(managed.tokens) + 1
    assert [secret for secret in secrets if str(secret).encode() in everything] == []


def test_all_that_was_done_is_in_sql_with_who_and_why(managed: Managed) -> None:
    level = managed.act("log-level", level="debug")
    statement = (
        f"SELECT actor, role, action, arguments, why, outcome FROM api.admin_actions WHERE number = {level['number']}"
    )
    row = ("operator", OPERATOR, "log-level", {"level": "debug"}, WHY, DONE)
    until(lambda: managed.query(statement) == [row], "the action is not in SQL")
    with admin_client(managed.access(VIEWER)) as client:
        items = client.get("/actions", limit=1000)["items"]
    rows = managed.query("SELECT number, outcome FROM api.admin_actions ORDER BY number DESC")
    assert rows == [(each["number"], each["outcome"]) for each in items]


def test_the_rate_holds_under_a_flood_of_wrong_tokens_and_transactions_execute_meanwhile(managed: Managed) -> None:
    ended = threading.Event()

    def flood() -> list[int]:
        seen: list[int] = []
        with managed.asking("momus_wrong") as client:
            while not ended.is_set() or len(seen) < 1_000:
                seen.append(client.get("/v1/whoami").status_code)
        return seen

    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(flood)
        try:
            to = ["--to", "07" * 32, "--home", str(managed.home.path)]
            assert run_line(["submit", "transfer", "dev", "1", *to]) == 0
        finally:
            ended.set()
        seen = flooding.result()
    assert set(seen) == {401, 429}
    assert seen.count(401) < 0.9 * len(seen)
    assert _state(managed, "order") == "running"
    until(
        lambda: managed.ask("GET", "/v1/whoami", managed.tokens[VIEWER]).status_code == 200, "who may is let in no more"
    )


def test_a_killed_admin_process_tells_of_what_it_did_not_end(managed: Managed, tmp_path: Path) -> None:
    written = managed.home.actions_file.read_bytes()
    (tmp_path / "actions.jsonl").write_bytes(written)
    kept = Actions(tmp_path / "actions.jsonl")
    begun = kept.begin("ann", OPERATOR, "drill", {}, "every night")
    kept.close()
    with managed.home.actions_file.open("ab") as file:  # as if the killed process had begun it
        file.write((tmp_path / "actions.jsonl").read_bytes()[len(written) :])
    pid = managed.node.kill_9("admin")
    managed.node.wait_running(["admin"], WAIT_S, not_pid=pid)
    until(lambda: _can_ask(managed), "management does not answer")
    with admin_client(managed.access(VIEWER)) as client:
        assert client.get(f"/actions/{begun.number}")["outcome"] == BROKEN_OFF


def _can_ask(managed: Managed) -> bool:
    try:
        return managed.ask("GET", "/v1/whoami", managed.tokens[VIEWER]).status_code == 200
    except httpx.TransportError:
        return False


def test_over_the_network_both_sides_show_certificates_and_stop_ends_the_node(tmp_path: Path) -> None:
    own = certificate(tmp_path)
    with TemporaryDirectory(prefix="momus-", ignore_cleanup_errors=True) as folder:
        place = Home(Path(folder) / "home")
        assert run_line(["init", "--home", str(place.path), "--dev"]) == 0
        (port,) = free_ports(1)
        environment = {
            "MOMUS_ADMIN__LISTEN": f"127.0.0.1:{port}",
            "MOMUS_ADMIN__CERTIFICATE_FILE": str(own.certificate_file),
            "MOMUS_ADMIN__CERTIFICATE_KEY_FILE": str(own.key_file),
            "MOMUS_ADMIN__CLIENT_CA_FILE": str(own.certificate_file),
        }
        with LocalNode(place.path, environment) as node:
            node.wait_running(["admin"], WAIT_S)
            address = f"https://127.0.0.1:{port}"
            access = Access(place, address, place.own_token_file, own.certificate_file)
            with admin_client(access) as bare, pytest.raises(AdminUnreachable):
                bare.get("/whoami")
            with admin_client(replace(access, ca_file=None)) as stranger, pytest.raises(AdminUnreachable):
                stranger.get("/whoami")
            both = replace(access, certificate_file=own.certificate_file, certificate_key_file=own.key_file)
            with admin_client(both) as client:
                assert client.get("/whoami") == {"name": "owner", "role": "admin", "expires_at_ms": None}
                _pauses_over_a_restart(client, node)
                assert client.act("stop", WHY)["outcome"] == DONE
            assert node.wait_ended(WAIT_S) == 0


def _pauses_over_a_restart(client: AdminClient, node: LocalNode) -> None:
    assert client.act("pause", WHY, {"processes": ["execute"]})["outcome"] == DONE
    assert node.stop() == 0
    node.launch()
    node.wait_running(["order", "admin"], WAIT_S)
    said = node.status("execute")
    assert said is not None
    assert said.state == PAUSED
    until(lambda: _answers(client), "management does not answer")
    assert client.get("/status")["reasons"] == ["execute is paused; `momus admin resume` lets it go on."]
    client.act("resume", WHY)
    node.wait_running(["execute"], WAIT_S)
    with pytest.raises(AdminRefused, match="no such action"):
        client.get("/actions/77")


def _answers(client: AdminClient) -> bool:
    try:
        return bool(client.get("/whoami"))
    except AdminUnreachable:
        return False
