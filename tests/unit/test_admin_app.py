"""The application of management by itself: what lies beside its endpoints, for whom and with whatever method."""

import asyncio
from pathlib import Path

import httpx
import pytest
from starlette.types import ASGIApp
from structlog.testing import capture_logs

from api.admin.actions import ADMIN_ACTIONS
from api.admin.app import BURST, RATE_PER_S, Parts, make_admin_app
from node.home.tokens import ROLES, Tokens
from serving.charging import Rate

READS = ("/v1/whoami", "/v1/status", "/v1/config", "/v1/actions", "/v1/actions/9", "/v1/diagnostics/9")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE")
ELSEWHERE = (
    *("/", "/v1", "/v1/", "/v1/openapi.json", "/openapi.json", "/docs", "/redoc", "/metrics", "/healthz", "/readyz"),
    *(
        "/v1/shell",
        "/v1/actions/shell/",
        "/V1/config",
        "//v1/config",
        "/v1/config/",
        "/v1/config%00",
        "/v1/actions/pause/",
    ),
    *("/v1/%63onfig/x", "/page/main.js", "/keys/admin.token"),
)


def statuses(app: ASGIApp, token: str | None, asked: list[tuple[str, str]]) -> list[int]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    async def ask() -> list[int]:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node") as client:
            return [(await client.request(*each, headers=headers)).status_code for each in asked]

    return asyncio.run(ask())


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "tokens.json")


def application(tokens: Tokens) -> ASGIApp:
    return make_admin_app(Parts(None, tokens, None, None), Rate(RATE_PER_S, BURST))  # type: ignore[arg-type]


@pytest.mark.parametrize("role", [*ROLES, None])
def test_beside_its_endpoints_there_is_nothing_for_anybody(tokens: Tokens, role: str | None) -> None:
    token = role and tokens.add("who", role)
    asked = [(method, path) for path in ELSEWHERE for method in METHODS]
    asked += [("POST", "/v1/actions/shell"), ("POST", "/v1/actions/9")]
    assert set(statuses(application(tokens), token, asked)) <= {404, 405}


def test_endpoints_take_no_other_method_whoever_asks(tokens: Tokens) -> None:
    token = tokens.add("who", ROLES[-1])
    reads = [(method, path) for path in READS for method in METHODS if method != "GET"]
    actions = [(method, f"/v1/actions/{kind.name}") for kind in ADMIN_ACTIONS for method in METHODS[2:]]
    assert set(statuses(application(tokens), token, reads + actions)) == {405}


def test_requests_that_may_not_are_in_the_log_without_their_tokens(tokens: Tokens) -> None:
    token = tokens.add("ann", ROLES[0])
    asked = [("POST", "/v1/actions/stop")]
    with capture_logs() as said:
        given = [*statuses(application(tokens), token, asked), *statuses(application(tokens), "momus_wrong", asked)]
    assert given == [403, 401]
    assert [(each["event"], each["path"], each.get("by")) for each in said] == [
        ("refused", "/v1/actions/stop", "ann"),
        ("refused", "/v1/actions/stop", None),
    ]
    assert not [each for each in said if token in str(each) or "momus_wrong" in str(each)]
