"""The OpenAPI document of a FastAPI application as generators of clients need it.

Their integers are 32 bits wide unless the document says more, their function names are its operation ids, and a bound
beyond what a type can hold does not compile.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

_INT64_MAX: Final = 2**63 - 1
_SCHEMAS: Final = "#/components/schemas/"
_BOUNDS: Final = frozenset(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"))


def operation_id(route: APIRoute) -> str:
    """A route's own name: each route is named as the function that a client calls."""
    return route.name


def document(app: FastAPI, server: str, said_by_name: Iterable[type[BaseModel]] = ()) -> dict[str, Any]:
    """The application's document, answered at `server`. `said_by_name`: models that routes only refer to."""
    said = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
    _, named = models_json_schema([(model, "validation") for model in said_by_name], ref_template=_SCHEMAS + "{model}")
    said["servers"] = [{"url": server}]
    said["components"]["schemas"] |= named.get("$defs", {})
    for operation in (each for path in said["paths"].values() for each in path.values()):
        for parameter in operation.get("parameters", ()):
            parameter["schema"] = _without_null(parameter["schema"])
    _sized(said)
    return _titled(said)


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """What is not given is not there: a parameter has no null."""
    kinds = [kind for kind in schema.get("anyOf", ()) if kind != {"type": "null"}]
    return {**{name: value for name, value in schema.items() if name != "anyOf"}, **kinds[0]} if kinds else schema


def _titled(said: dict[str, Any]) -> dict[str, Any]:
    """With every schema under its title: pydantic's keys of generic models are no names (`Page_Block_`)."""
    schemas = said["components"]["schemas"]
    titles = {f"{_SCHEMAS}{key}": f"{_SCHEMAS}{schema['title']}" for key, schema in schemas.items()}
    said["components"]["schemas"] = {schema["title"]: schema for schema in schemas.values()}
    return {key: _referring(part, titles) for key, part in said.items()}


def _referring(part: Any, titles: Mapping[str, str]) -> Any:
    if isinstance(part, list):
        return [_referring(each, titles) for each in part]
    if isinstance(part, dict):
        return {name: titles[each] if name == "$ref" else _referring(each, titles) for name, each in part.items()}
    return part


def _sized(part: Any) -> None:
    """Say of every integer below `part` that it has 64 bits, with bounds that 64 bits can hold."""
    if isinstance(part, list):
        for each in part:
            _sized(each)
    elif isinstance(part, dict):
        if part.get("type") == "integer":
            part["format"] = "int64"
            for name in _BOUNDS & part.keys():
                # FastAPI passes bounds through floats, of which the nearest to 2^63 - 1 is 2^63.
                part[name] = min(int(part[name]), _INT64_MAX)
        for each in part.values():
            _sized(each)
