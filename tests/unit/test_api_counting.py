"""What the API counts of requests: nothing that a caller writes becomes the name of a series."""

from collections.abc import Mapping

import httpx
from fastapi import APIRouter, FastAPI
from starlette.responses import Response

from api.counting import OTHER, counting
from node.metrics.values import Values
from serving.charging import Rate
from serving.handlers import with_bounds
from serving.limits import Limits
from serving.server import Listener, tcp_socket
from tests.http_servers import LOOPBACK, running

LIMITS = Limits(connections_max=4, head_s=30)


def listener() -> Listener:
    return Listener(tcp_socket(LOOPBACK, 0))


def counted(paths: list[str], burst: int = 100) -> tuple[Mapping[tuple[str, ...], float], int]:
    """Requests by path and status, and how many answers were timed."""
    values = Values("api")
    routes = APIRouter()

    @routes.get("/things/{thing}")
    async def thing(thing: int) -> Response:
        return Response("x")

    @routes.get("/streams/blocks")
    async def stream() -> Response:
        return Response("x")

    app = FastAPI(openapi_url="/v1/openapi.json")
    app.include_router(routes, prefix="/v1")
    with_bounds(app, Rate(1e-9, burst))
    with (
        running(app, LIMITS, listener, counting(values)) as port,
        httpx.Client(base_url=f"http://{LOOPBACK}:{port}") as client,
    ):
        for path in paths:
            client.get(path)
    (answers,) = values.distributions("momus_api_answer_seconds").values()
    return values.numbers("momus_api_requests_total"), sum(answers.counts)


def test_requests_count_under_the_path_of_the_document() -> None:
    requests, _ = counted(["/v1/things/1", "/v1/things/2", "/v1/things/x"])
    assert requests == {("/things/{thing}", "200"): 2, ("/things/{thing}", "422"): 1}


def test_paths_that_are_none_of_ours_share_one_series() -> None:
    requests, _ = counted([f"/v1/{number}" for number in range(50)] + ["/v1/things/1/2", "/%00"])
    assert requests == {(OTHER, "404"): 52}


def test_what_is_refused_at_the_door_is_counted_too() -> None:
    requests, _ = counted(["/v1/things/1"] * 3, burst=1)
    assert requests == {("/things/{thing}", "200"): 1, (OTHER, "429"): 2}


def test_what_is_no_request_is_counted_too() -> None:
    requests, _ = counted(["/v1/things/1", "/v1/things/" + "1" * LIMITS.head_bytes_max])
    assert requests == {("/things/{thing}", "200"): 1, (OTHER, "431"): 1}


def test_streams_are_not_timed() -> None:
    requests, timed = counted(["/v1/streams/blocks", "/v1/things/1"])
    assert sum(requests.values()) == 2
    assert timed == 1
