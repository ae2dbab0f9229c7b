"""What can be wrong with a request or with answering it: problem documents (RFC 9457) with codes that stay."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel, Field

from serving.answers import Answer

MEDIA_TYPE: Final = "application/problem+json"
TYPE: Final = "urn:momus:problem:"
RETRY_S: Final = 1

CODES: Final[Mapping[str, tuple[int, str]]] = {
    "malformed": (400, "This is no request of HTTP/1.1, or not one that every server reads alike."),
    "invalid_request": (422, "The request is not as the document of the API describes it."),
    "unauthorized": (401, "Management needs a token that is good."),
    "forbidden": (403, "The role of this token may not do this."),
    "busy": (409, "The same is under way already."),
    "not_recorded": (503, "The action could not be written down, so it was not begun."),
    "rejected": (422, "No node would execute this transaction."),
    "not_found": (404, "There is no such thing."),
    "nothing_certified": (404, "This node holds no certified checkpoint yet."),
    "method_not_allowed": (405, "This path does not take this method."),
    "history_pruned": (410, "This node has removed the history that was asked for."),
    "body_too_slow": (408, "The body did not arrive in time."),
    "body_too_large": (413, "The body is larger than this node takes."),
    "unsupported_media_type": (415, "This path does not take this media type."),
    "rate_limited": (429, "Too many requests from this address."),
    "head_too_large": (431, "The headers and the address are longer than this node takes."),
    "internal": (500, "The node has made a mistake; its log has the details."),
    "back_pressure": (503, "The node has as much to do as it can hold."),
    "log_unavailable": (503, "The log does not take transactions now."),
    "database_unavailable": (503, "The database does not answer now."),
    "query_too_slow": (503, "The database did not find the answer in the time that a request has."),
    "state_differs": (503, "The tables do not hold what execution left there."),
}
"""code: (HTTP status, what it means). docs/api.md lists them; a test compares."""


ANYWHERE: Final = ("invalid_request", "body_too_large", "head_too_large", "rate_limited", "back_pressure")


class ProblemDocument(BaseModel):
    """`code` is for programs and stays; `title` and `detail` are for people."""

    type: str = Field(pattern=f"^{TYPE}[a-z_]+$")
    title: str
    status: int
    code: str
    detail: str
    reason: str | None = Field(None, description="Of code `rejected`: the protocol's name of the reason.")


@dataclass(slots=True)
class Problem(Exception):
    """Ends a request with a problem document."""

    code: str
    detail: str = ""
    reason: str | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> ProblemDocument:
        """What the body says."""
        status, title = CODES[self.code]
        return ProblemDocument(
            type=TYPE + self.code, title=title, status=status, code=self.code, detail=self.detail, reason=self.reason
        )

    def answer(self) -> Answer:
        """Of a problem that goes by, with Retry-After."""
        status, _ = CODES[self.code]
        waits = {"Retry-After": str(RETRY_S)} if status in (429, 503) else {}
        body = self.document().model_dump_json(exclude_none=True).encode()
        return Answer(status, body, MEDIA_TYPE, {"Cache-Control": "no-store", **waits, **self.headers})


def described(*codes: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's answers for `codes` and for those that any path may give, by status."""
    by_status: dict[int, list[str]] = {}
    for code in dict.fromkeys((*ANYWHERE, *codes)):
        by_status.setdefault(CODES[code][0], []).append(code)
    schema = {"$ref": "#/components/schemas/ProblemDocument"}
    return {
        status: {
            "description": f"{HTTPStatus(status).phrase}: {', '.join(f'`{code}`' for code in named)}",
            "content": {MEDIA_TYPE: {"schema": schema}},
        }
        for status, named in by_status.items()
    }
