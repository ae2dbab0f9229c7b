"""Parameters that many routes take: ids and heights in paths, ids behind the question mark, pages, none."""

from typing import Annotated, Any, Final

from fastapi import Path
from fastapi import Query as Parameters

from api.reading.listing import NumberPageQuery
from api.reading.values import Height, Query

_ID: Final = "^[0-9a-f]{64}$"

HeightPath = Annotated[Height, Path(description="Height of a block.")]


def id_path(what: str) -> Any:
    """A path's last part that is the hex of an id."""
    return Path(pattern=_ID, description=f"{what}, 64 hex digits in lower case.")


AddressFilter = Annotated[str, Parameters(pattern=_ID, description="Only of this address.")] | None
AssetFilter = Annotated[str, Parameters(pattern=_ID, description="Only of this asset.")] | None


class Nothing(Query):
    """No parameters."""


NumberPageQ = Annotated[NumberPageQuery, Parameters()]
NothingQ = Annotated[Nothing, Parameters()]
