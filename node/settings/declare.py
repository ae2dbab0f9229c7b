"""How a setting is declared: its default, its range and unit, and the words that docs/configuration.md has of it."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


def whole(default: int, low: int, high: int, unit: str, text: str) -> Any:
    """A whole number in [low, high] of `unit`."""
    return Field(default, ge=low, le=high, description=text, json_schema_extra={"unit": unit})


def words(default: Any, text: str) -> Any:
    """Anything that is no number."""
    return Field(default, description=text, json_schema_extra={"unit": ""})


class Part(BaseModel):
    """A branch of the tree."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)
