"""Answers to reads: JSON with the height that it is of, and an ETag, so that what has not changed is not sent again."""

from hashlib import sha256
from typing import Any, Final

from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

HEIGHT: Final = "Momus-Height"
_ETAG_DIGITS: Final = 32

HEADERS: Final[dict[str, Any]] = {
    HEIGHT: {"description": "The height that the answer is of.", "schema": {"type": "integer", "minimum": 0}},
    "ETag": {"description": "For If-None-Match.", "schema": {"type": "string"}},
}


def answer(request: Request, content: BaseModel, height: int | None) -> Response:
    """`content` as JSON, of a height of the database if of any; 304 without it where the caller has it already."""
    body = content.model_dump_json().encode()
    tag = f'"{sha256(body).hexdigest()[:_ETAG_DIGITS]}"'
    headers = {"ETag": tag, "Cache-Control": "no-cache"}
    if height is not None:
        headers[HEIGHT] = str(height)
    if _has(request.headers.get("if-none-match", ""), tag):
        return Response(status_code=304, headers=headers)
    return Response(body, media_type="application/json", headers=headers)


def of(model: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answers of a read."""
    return {
        200: {"model": model, "headers": HEADERS, "description": "As of the height in Momus-Height."},
        304: {"description": "The answer is the one that the caller has.", "headers": HEADERS},
    }


def _has(tags: str, tag: str) -> bool:
    return tags.strip() == "*" or tag in (each.strip().removeprefix("W/") for each in tags.split(","))
