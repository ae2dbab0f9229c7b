"""Whatever goes wrong with a request becomes a problem document; and every caller is charged."""

from http import HTTPStatus
from typing import Final

import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path

from serving.bounds import Bounds
from serving.charging import Rate
from serving.problems import Problem

_CODES: Final = {404: "not_found", 405: "method_not_allowed", 413: "body_too_large"}

_log = structlog.get_logger()


def with_bounds(app: FastAPI, rate: Rate) -> None:
    """Make the application answer with problems, and charge every caller."""
    for kind, handler in _HANDLERS.items():
        app.add_exception_handler(kind, handler)  # type: ignore[arg-type]
    app.add_middleware(Bounds, rate=rate)


def _response(problem: Problem) -> Response:
    answer = problem.answer()
    return Response(answer.body, answer.status, answer.headers, answer.media_type)


async def _on_problem(request: Request, problem: Problem) -> Response:
    return _response(problem)


async def _on_invalid(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    return _response(Problem("invalid_request", f"{'.'.join(map(str, first['loc']))}: {first['msg']}"))


async def _on_http(request: Request, error: HTTPException) -> Response:
    """What the routing says: no such path, no such method."""
    code = _CODES.get(error.status_code, "invalid_request")
    allowed = {"Allow": ", ".join(_methods(request))} if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else {}
    return _response(Problem(code, HTTPStatus(error.status_code).phrase, headers=allowed))


def _methods(request: Request) -> list[str]:
    """Those of all routes of a path, as the document has them: one route knows its own only."""
    paths = request.app.openapi()["paths"]
    matching = [methods for path, methods in paths.items() if compile_path(path)[0].match(request.url.path)]
    return sorted({method.upper() for methods in matching[:1] for method in methods}) or ["GET"]


async def _on_gone(request: Request, error: ClientDisconnect) -> Response:
    """Nobody reads it: the connection is closed, or refused."""
    return Response(status_code=HTTPStatus.BAD_REQUEST)


async def _on_mistake(request: Request, error: Exception) -> Response:
    _log.error("mistake of the API", path=request.url.path, reason=repr(error))
    return _response(Problem("internal"))


_HANDLERS: Final = {
    Problem: _on_problem,
    RequestValidationError: _on_invalid,
    HTTPException: _on_http,
    ClientDisconnect: _on_gone,
    Exception: _on_mistake,
}
