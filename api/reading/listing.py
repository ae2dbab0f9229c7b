"""Lists in pages: a query over one view, ordered by a key; the cursor is the key of the last row that was given."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from psycopg import sql
from pydantic import BaseModel, Field

from api.reading.database import View, columns_of
from api.reading.values import Height, Query, Row

PAGE_MAX: Final = 1_000
PAGE: Final = 50
PAGE_BYTES_MAX: Final = 1 << 20
"""Of what may be large on a page of rows that have such; the row that passes it is still given."""
ID_DIGITS: Final = 64
R = TypeVar("R", bound=Row)


class PageQuery(Query):
    """Which page of a list. The lists differ in their cursors: each has a query of its own."""

    limit: Annotated[int, Field(ge=1, le=PAGE_MAX, description="Rows of a page.")] = PAGE
    order: Annotated[Literal["newest", "oldest"], Field(description="By height, or by id.")] = "newest"
    cursor: str | None = None


def cursor(pattern: str) -> Any:
    """The field of a query whose cursors look like this, and no other."""
    return Field(None, pattern=f"^{pattern}$", description="The `next` of the page before; none: the first page.")


class NumberPageQuery(PageQuery):
    """A page of rows that a number orders."""

    cursor: str | None = cursor("[0-9]{1,18}")


class PlacePageQuery(PageQuery):
    """A page of rows that height and index order."""

    cursor: str | None = cursor("[0-9]{1,18}-[0-9]{1,9}")


class IdPageQuery(PageQuery):
    """A page of rows that an id orders."""

    cursor: str | None = cursor("[0-9a-f]{64}")


class HolderPageQuery(PageQuery):
    """A page of rows that an address and an asset order."""

    cursor: str | None = cursor("[0-9a-f]{64}-[0-9a-f]{64}")


class WritePageQuery(PageQuery):
    """A page of rows that height, transaction and command order."""

    cursor: str | None = cursor("[0-9]{1,18}-[0-9]{1,9}-[0-9]{1,9}")


class Page(BaseModel, Generic[R]):
    """Rows, the cursor of the page after them (null: there is none), and the height that they are of."""

    items: list[R]
    next: str | None
    height: Height

    @classmethod
    def model_parametrized_name(cls, params: tuple[Any, ...]) -> str:
        """Its name in the document, from which clients name their types."""
        return f"{params[0].__name__}Page"


@dataclass(frozen=True, slots=True)
class Listing(Generic[R]):
    """`view` is one of schema api. `key` are its columns that order it: whole numbers, or `texts` of hex digits.
    `large`: the columns that may be large, bytes or lists of hex ids, each with the SQL of its size in bytes; a page
    holds fewer rows where they are.
    """

    view: str
    row: type[R]
    key: tuple[str, ...]
    texts: frozenset[str] = frozenset()
    large: Mapping[str, str] = field(default_factory=dict)

    async def page(
        self,
        view: View,
        query: PageQuery,
        conditions: Sequence[str] = (),
        values: Mapping[str, object] | None = None,
    ) -> Page[R]:
        """The page of the rows that meet all `conditions`, SQL with `%(name)s` for `values`. The query's cursor must be
        one of such a key: its class sees to that."""
        is_newest = query.order == "newest"
        given = dict(values or {})
        where: list[sql.Composable] = [sql.SQL(condition) for condition in conditions]
        if query.cursor is not None:
            where.append(self._beyond(is_newest))
            given |= {f"key_{name}": value for name, value in zip(self.key, self._keys(query.cursor), strict=True)}
        rows = await view.rows(self._statement(where, is_newest), {**given, "rows": query.limit + 1})
        items = [self.row.model_validate(row) for row in rows[: self._fitting(rows[: query.limit])]]
        return Page[self.row](  # type: ignore[name-defined]
            items=items, next=self._cursor(items[-1]) if len(rows) > len(items) else None, height=view.height
        )

    def _fitting(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many of them a page holds."""
        before = accumulate((sum(_size_of(row[name]) for name in self.large) for row in rows), initial=0)
        return sum(size < PAGE_BYTES_MAX for _, size in zip(rows, before, strict=False))

    def _statement(self, where: Sequence[sql.Composable], is_newest: bool) -> sql.Composed:
        direction = sql.SQL(" DESC" if is_newest else "")
        order = sql.SQL(", ").join(sql.Identifier(name) + direction for name in self.key)
        rows = sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT %(rows)s")
        source, meets = sql.Identifier("api", self.view), sql.SQL(" AND ").join(where or [sql.SQL("true")])
        if not self.large:
            return rows.format(columns_of(self.row), source, meets, order)
        # One row more than a page holds, as everywhere: it tells that there is another page.
        before = sql.SQL(
            "{}, sum({}) OVER (ORDER BY {} ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before"
        ).format(columns_of(self.row), sql.SQL(" + ").join(map(sql.SQL, self.large.values())), order)
        return sql.SQL("SELECT {} FROM ({}) AS page WHERE coalesce(before, 0) < {} ORDER BY {}").format(
            columns_of(self.row), rows.format(before, source, meets, order), sql.Literal(PAGE_BYTES_MAX), order
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
        parts = zip(self.key, cursor.split("-"), strict=True)
        return [part if name in self.texts else int(part) for name, part in parts]


def _size_of(value: Sized) -> int:
    return ID_DIGITS * len(value) if isinstance(value, list) else len(value)
