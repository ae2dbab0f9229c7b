"""The tables of docs/configuration.md, made from the settings tree: `python -m node.settings.page` writes them.

A test compares, so that the page is complete and true.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, get_args

from annotated_types import Ge, Le
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from node.settings.tree import PREFIX, Settings

START: Final = "<!-- settings: written by `python -m node.settings.page`, do not edit below -->\n"


def render() -> str:
    """The tables, one per part, in the order of the tree."""
    top = {name: field for name, field in Settings.model_fields.items() if not _is_part(field)}
    sections = [_section("The node", "", top)]
    for name, field in Settings.model_fields.items():
        part = field.annotation
        if isinstance(part, type) and issubclass(part, BaseModel):
            title = f"`[{name}]`: {(part.__doc__ or '').strip().rstrip('.')}"
            sections.append(_section(title, f"{name}.", part.model_fields))
    return "\n".join(sections)


def page_with_tables(page: str) -> str:
    """`page` with everything below the marker written anew. Raises: ValueError where the marker is missing."""
    return page[: page.index(START) + len(START)] + "\n" + render()


def _is_part(field: FieldInfo) -> bool:
    return isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)


def _section(title: str, prefix: str, fields: dict[str, FieldInfo]) -> str:
    rows = [f"| `{prefix}{name}` | {' | '.join(_cells(prefix + name, field))} |" for name, field in fields.items()]
    head = "| setting | default | unit | range | variable | what it is |\n|---|---|---|---|---|---|"
    return "\n".join([f"## {title}", "", head, *rows, ""])


def _cells(key: str, field: FieldInfo) -> Iterator[str]:
    extra: Any = field.json_schema_extra
    variable = PREFIX + key.upper().replace(".", "__")
    yield _default(field)
    yield extra["unit"]
    yield _range(field)
    yield f"`{variable}__<PROPERTY>`" if key == "kafka" else f"`{variable}`"
    yield field.description or ""


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    return "none" if default in (None, {}, (), "") else f"`{default}`"


def _range(field: FieldInfo) -> str:
    low = next((bound.ge for bound in field.metadata if isinstance(bound, Ge)), None)
    high = next((bound.le for bound in field.metadata if isinstance(bound, Le)), None)
    if low is not None:
        return f"{low} to {high}"
    choices = [choice for choice in get_args(field.annotation) if isinstance(choice, str)]
    return ", ".join(f"`{choice}`" for choice in choices)


if __name__ == "__main__":
    file = Path(sys.argv[1] if len(sys.argv) > 1 else "docs/configuration.md")
    file.write_text(page_with_tables(file.read_text()))
