"""The application of management: reads for viewers, actions for those whose role may."""

import asyncio
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Depends, FastAPI, Header
from fastapi import Path as PathPart
from fastapi import Query as Parameters
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response

from api.admin.actions import ADMIN_ACTIONS, ActionContext, AdminAction, Arguments
from api.admin.auth import Needs, needs_in
from api.admin.runner import WHY_MAX, ActionRunner
from node.home.actions import Actions
from node.home.status import statuses
from node.home.tokens import OPERATOR, VIEWER, Token, Tokens
from node.settings.redaction import changed, shown
from node.supervision.health import health_of
from serving.charging import Rate
from serving.handlers import with_bounds
from serving.limits import Limits
from serving.problems import Problem

PREFIX: Final = "/v1"
PAGE_MAX: Final = 1_000
HOLD_MS_MAX: Final = 30_000
BODY_BYTES_MAX: Final = 64 << 10
LIMITS: Final = Limits(connections_max=64, head_s=10.0, body_bytes_max=BODY_BYTES_MAX, body_s=10.0)
RATE_PER_S: Final = 50
BURST: Final = 200

Number = Annotated[int, PathPart(ge=1, le=1 << 53)]


class ActionsQuery(BaseModel):
    """Newest first."""

    model_config = ConfigDict(extra="forbid")
    limit: Annotated[int, Field(ge=1, le=PAGE_MAX)] = 100
    before: Annotated[int | None, Field(ge=1)] = None


class HoldQuery(BaseModel):
    """How long the answer may wait for the end."""

    model_config = ConfigDict(extra="forbid")
    hold_ms: Annotated[int, Field(ge=0, le=HOLD_MS_MAX)] = 0


@dataclass(frozen=True, slots=True)
class Parts:
    """What the application stands on."""

    context: ActionContext
    tokens: Tokens
    actions: Actions
    runner: ActionRunner


def make_admin_app(parts: Parts, rate: Rate) -> FastAPI:
    """The application; `rate`: what each caller may cost."""
    app = FastAPI(
        title="Momus management",
        version=version("momus"),
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    needs = needs_in(parts.tokens)
    routes = APIRouter()
    _add_reads(routes, parts, needs)
    _add_actions(routes, parts, needs)
    for action in ADMIN_ACTIONS:
        _add_action(routes, parts, needs, action)
    app.include_router(routes, prefix=PREFIX)
    with_bounds(app, rate)
    return app


def _add_reads(routes: APIRouter, parts: Parts, needs: Needs) -> None:
    context = parts.context

    @routes.get("/whoami")
    async def whoami(token: Annotated[Token, Depends(needs(VIEWER))]) -> Response:
        return _answer({"name": token.name, "role": token.role, "expires_at_ms": token.expires_at_ms or None})

    @routes.get("/status")
    def status(token: Annotated[Token, Depends(needs(VIEWER))]) -> Response:
        return _answer(
            {
                "validator": context.settings.validator,
                "version": version("momus"),
                **health_of(context.home, context.settings).document(),
                "wanted": asdict(context.control.read()),
                "processes": [
                    {**asdict(each), "state": each.seen, "is_alive": each.is_alive}
                    for each in statuses(context.home.run)
                ],
            }
        )

    @routes.get("/config")
    def config(token: Annotated[Token, Depends(needs(VIEWER))]) -> Response:
        return _answer({"changed": changed(context.settings), "settings": shown(context.settings)})

    @routes.get("/diagnostics/{number}")
    def diagnostics(number: Number, token: Annotated[Token, Depends(needs(OPERATOR))]) -> Response:
        file = context.home.diagnostics / f"diagnostics-{number}.tar.gz"
        if not file.is_file():
            raise Problem("not_found", "There is no such bundle, or none any more.")
        return FileResponse(file, media_type="application/gzip", filename=file.name)


def _add_actions(routes: APIRouter, parts: Parts, needs: Needs) -> None:
    @routes.get("/actions")
    def actions(
        token: Annotated[Token, Depends(needs(VIEWER))], query: Annotated[ActionsQuery, Parameters()]
    ) -> Response:
        return _answer({"items": [asdict(each) for each in parts.actions.newest(query.limit, query.before)]})

    @routes.get("/actions/{number}")
    async def action(
        number: Number, token: Annotated[Token, Depends(needs(VIEWER))], query: Annotated[HoldQuery, Parameters()]
    ) -> Response:
        found = await asyncio.to_thread(parts.runner.wait, number, query.hold_ms / 1000)
        if found is None:
            raise Problem("not_found", "There is no such action.")
        return _answer(asdict(found))


def _add_action(routes: APIRouter, parts: Parts, needs: Needs, action: AdminAction) -> None:
    async def begin(
        request: Request,
        token: Annotated[Token, Depends(needs(action.role))],
        query: Annotated[HoldQuery, Parameters()],
        momus_why: Annotated[str, Header(min_length=3, max_length=WHY_MAX)],
        given: Annotated[dict[str, Any] | None, Body()] = None,
    ) -> Response:
        begun = parts.runner.begin(action, _arguments(action, given or {}), token, _words(momus_why))
        ended = await asyncio.to_thread(parts.runner.wait, begun.number, query.hold_ms / 1000)
        return _answer(asdict(ended or begun), 200 if ended is not None and ended.took_ms is not None else 202)

    routes.post(f"/actions/{action.name}", name=action.name, description=action.what)(begin)


def _arguments(action: AdminAction, given: dict[str, Any]) -> Arguments:
    """Raises: Problem."""
    try:
        return action.arguments.model_validate(given)
    except ValidationError as error:
        first = error.errors()[0]
        raise Problem("invalid_request", f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def _words(header: str) -> str:
    """Headers are bytes, which the server reads as Latin-1; people write UTF-8. Raises: Problem."""
    try:
        text = header.encode("latin-1").decode().strip()
    except UnicodeError as error:
        raise Problem("invalid_request", "Momus-Why is not UTF-8.") from error
    if not text.isprintable():
        raise Problem("invalid_request", "Momus-Why holds what cannot be printed.")
    return text


def _answer(document: Any, status: int = 200) -> JSONResponse:
    return JSONResponse(document, status, {"Cache-Control": "no-store"})
