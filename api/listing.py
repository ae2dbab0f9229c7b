"""Lists in pages: a query over one view, ordered by a key; the cursor is the key of the last row that was given."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Generic, Literal, TypeVar

from psycopg import sql
from pydantic import BaseModel, Field

from api.database import View, columns_of
from api.problems import Problem
from api.values import HEIGHT_MAX, Height, Query, Row

PAGE_MAX: Final = 1_000
PAGE: Final = 50
CURSOR_PATTERN: Final = r"^[0-9a-f]{1,64}(-[0-9a-f]{1,64}){0,2}$"

R = TypeVar("R", bound=Row)


class PageQuery(Query):
    """Which page of a list."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX, description="Rows of a page.")] = PAGE
    cursor: Annotated[
        str | None, Field(pattern=CURSOR_PATTERN, description="The `next` of the page before; none: the first page.")
    ] = None
    order: Annotated[Literal["newest", "oldest"], Field(description="By height, or by id.")] = "newest"


class Page(BaseModel, Generic[R]):
    """Rows, the cursor of the page after them (null: there is none), and the height that they are of."""

    items: list[R]
    next: str | None
    height: Height


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """`view` is one of schema api. `key` are its columns that order it: whole numbers, or `texts` of hex digits."""

    view: str
    row: type[R]
    key: tuple[str, ...]
    texts: frozenset[str] = frozenset()

    async def page(
        self,
        view: View,
        query: PageQuery,
        conditions: Sequence[str] = (),
        values: Mapping[str, object] | None = None,
    ) -> Page[R]:
        """The page of the rows that meet all `conditions`, SQL with `%(name)s` for `values`.

        Raises: Problem, for a cursor of something else.
        """
        is_newest = query.order == "newest"
        given = dict(values or {})
        where: list[sql.Composable] = [sql.SQL(condition) for condition in conditions]
        if query.cursor is not None:
            where.append(self._beyond(is_newest))
            given |= {f"key_{name}": value for name, value in zip(self.key, self._keys(query.cursor), strict=True)}
        rows = await view.rows(self._statement(where, is_newest), {**given, "rows": query.limit + 1})
        items = [self.row.model_validate(row) for row in rows[: query.limit]]
        return Page[self.row](  # type: ignore[name-defined]
            items=items, next=self._cursor(items[-1]) if len(rows) > query.limit else None, height=view.height
        )

    def _statement(self, where: Sequence[sql.Composable], is_newest: bool) -> sql.Composed:
        direction = sql.SQL(" DESC" if is_newest else "")
        return sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT %(rows)s").format(
            columns_of(self.row),
            sql.Identifier("api", self.view),
            sql.SQL(" AND ").join(where or [sql.SQL("true")]),
            sql.SQL(", ").join(sql.Identifier(name) + direction for name in self.key),
        )

    def _beyond(self, is_newest: bool) -> sql.Composed:
        return sql.SQL("({}) {} ({})").format(
            sql.SQL(", ").join(sql.Identifier(name) for name in self.key),
            sql.SQL("<" if is_newest else ">"),
            sql.SQL(", ").join(sql.Placeholder(f"key_{name}") for name in self.key),
        )

    def _cursor(self, row: Row) -> str:
        return "-".join(str(getattr(row, name)) for name in self.key)

    def _keys(self, cursor: str) -> list[int | str]:
        parts = cursor.split("-")
        are_whole = all(part.isdecimal() and int(part) <= HEIGHT_MAX for part in self._whole(parts))
        if len(parts) != len(self.key) or not are_whole:
            raise Problem("invalid_request", "The cursor is not one of this list.")
        return [part if name in self.texts else int(part) for name, part in zip(self.key, parts, strict=True)]

    def _whole(self, parts: Sequence[str]) -> list[str]:
        return [part for name, part in zip(self.key, parts, strict=False) if name not in self.texts]
