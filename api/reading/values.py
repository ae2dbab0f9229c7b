"""Values as they travel: ids are 64 hex digits in lower case, amounts decimal text, times RFC 3339 in UTC."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

HEIGHT_MAX: Final = 2**63 - 1

Hex32 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Height = Annotated[int, Field(ge=0, le=HEIGHT_MAX)]
Count = Annotated[int, Field(ge=0)]
Amount = Annotated[str, BeforeValidator(str), StringConstraints(pattern=r"^[0-9]{1,19}$")]
"""A whole number below 2^63 as text: JSON's numbers are not exact that far."""
Whole = Annotated[str, BeforeValidator(lambda value: format(value, "f") if isinstance(value, Decimal) else str(value))]
"""The same in whole units of its asset, exact."""


def time_text(time: datetime) -> str:
    """RFC 3339, milliseconds, of a time in UTC."""
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


Time = Annotated[datetime, PlainSerializer(time_text, return_type=str)]


class Row(BaseModel):
    """What an answer holds: a field a column, named as in the views of docs/sql.md."""

    model_config = ConfigDict(extra="forbid", ser_json_bytes="hex")


class Query(BaseModel):
    """Parameters behind the question mark. What a path does not name, it refuses."""

    model_config = ConfigDict(extra="forbid")
