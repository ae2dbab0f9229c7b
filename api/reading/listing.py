"""Lists in pages: a query over one view, ordered by a key; the cursor is the key of the last row that was given."""

from collections.abc import Mapping, Sequence, Sized
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from psycopg import sql
from psycopg.rows import DictRow
from pydantic import BaseModel, Field

from api.reading.database import View, columns_of
from api.reading.values import Height, Query, Row

PAGE_MAX: Final = 1_000
PAGE: Final = 50
PAGE_BYTES_MAX: Final = 1 << 20
"""Of what may be large on a page of rows that have such; the row that passes it is still given."""
ID_DIGITS: Final = 64
_PLACE: Final = ("height", "index", "version")
"""By what api.live_places goes on."""
_CLOSED: Final = sql.SQL("height < %(below)s")
_LIVE: Final = sql.SQL("height >= %(below)s")
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
    holds fewer rows where they are. `indexed`: the columns by which history is indexed; `place`: with which column,
    beside the height, its rows are found there. `within`: of columns that may be given, what leads to their rows.
    """

    view: str
    row: type[R]
    key: tuple[str, ...]
    texts: frozenset[str] = frozenset()
    large: Mapping[str, str] = field(default_factory=dict)
    indexed: frozenset[str] = frozenset()
    place: str = "index"
    within: Mapping[str, sql.SQL] = field(default_factory=dict)

    async def page(
        self,
        view: View,
        query: PageQuery,
        equal: Mapping[str, object] | None = None,
        either: Sequence[str] = (),
        of: str = "",
    ) -> Page[R]:
        """The page of the rows whose columns have the values of `equal` and, of the columns `either`, one the value
        `of`. The query's cursor must be one of such a key: its class sees to that."""
        rows: list[DictRow] = []
        for statement, given in self.statements(query, view.indexed_below, equal or {}, either, of):
            if len(rows) <= query.limit:
                rows += await view.rows(statement, {**given, "rows": query.limit + 1 - len(rows)})
        items = [self.row.model_validate(row) for row in rows[: self._fitting(rows[: query.limit])]]
        return Page[self.row](  # type: ignore[name-defined]
            items=items, next=self._cursor(items[-1]) if len(rows) > len(items) else None, height=view.height
        )

    def _fitting(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """How many of them a page holds."""
        before = accumulate((sum(_size_of(row[name]) for name in self.large) for row in rows), initial=0)
        return sum(size < PAGE_BYTES_MAX for _, size in zip(rows, before, strict=False))

    def statements(
        self, query: PageQuery, below: int, equal: Mapping[str, object], either: Sequence[str] = (), of: str = ""
    ) -> list[tuple[sql.Composed, dict[str, object]]]:
        """What asks for the rows of a page and one more, and its parameters; the second as far as the first has too
        few. History `below` that height is indexed."""
        is_newest = query.order == "newest"
        where: list[sql.Composable] = [_equals(name, name) for name in equal]
        if either:
            where.append(sql.SQL("({})").format(sql.SQL(" OR ").join(_equals(name, "of") for name in either)))
        where += [condition for name, condition in self.within.items() if name in equal]
        given: dict[str, object] = {**equal, "of": of, "is_newest": is_newest, "rows": query.limit + 1, "below": below}
        # Where rows must meet more than one condition, nobody knows how many places make a page.
        given["places"] = query.limit + 1 if len(where) == 1 else None
        given |= {f"key_{name}": None for name in (*_PLACE, *self.key)}
        if query.cursor is not None:
            where.append(self._beyond(is_newest))
            given |= {f"key_{name}": value for name, value in zip(self.key, self._keys(query.cursor), strict=True)}
        leads = dict.fromkeys(either, "of") or {name: name for name in equal if name in self.indexed}
        if not leads or "height" in equal:
            return [(self._selected(where, is_newest), given)]
        parts = [self._live(where, leads, is_newest), self._selected([*where, _CLOSED], is_newest)]
        return [(part, given) for part in (parts if is_newest else reversed(parts))]

    def _live(self, where: Sequence[sql.Composable], leads: Mapping[str, str], is_newest: bool) -> sql.Composed:
        """Rows that no other index leads to. `leads`: columns, with the names of their values."""
        order = self._order(is_newest)
        branches = [
            self._rows([*where, _equals(column, value), _LIVE, self._led(column, value)], order)
            for column, value in leads.items()
        ]
        if len(branches) == 1:
            return self._bounded(branches[0], order)
        # Each is ordered and bounded, as the whole is. A row may be in several.
        union = sql.SQL(" UNION ").join(sql.SQL("({})").format(branch) for branch in branches)
        rows = sql.SQL("SELECT * FROM ({}) AS found ORDER BY {} LIMIT %(rows)s").format(union, order)
        return self._bounded(rows, order)

    def _led(self, column: str, value: str) -> sql.Composed:
        return sql.SQL(
            "(height, {}) IN (SELECT place.height, place.index FROM api.live_places({}, {}, %(is_newest)s, "
            "%(places)s, %(key_height)s, %(key_index)s, %(key_version)s) AS place)"
        ).format(sql.Identifier(self.place), sql.Literal(f"{self.view}.{column}"), sql.Placeholder(value))

    def _selected(self, where: Sequence[sql.Composable], is_newest: bool) -> sql.Composed:
        order = self._order(is_newest)
        return self._bounded(self._rows(where, order), order)

    def _rows(self, where: Sequence[sql.Composable], order: sql.Composable) -> sql.Composed:
        return sql.SQL("SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT %(rows)s").format(
            columns_of(self.row),
            sql.Identifier("api", self.view),
            sql.SQL(" AND ").join(where or [sql.SQL("true")]),
            order,
        )

    def _bounded(self, rows: sql.Composed, order: sql.Composable) -> sql.Composed:
        """As many of these rows as a page holds, and one more, as everywhere: it tells that there is another page."""
        if not self.large:
            return rows
        before = sql.SQL(
            "SELECT *, sum({}) OVER (ORDER BY {} ROWS BETWEEN UNBOUNDED PRECEDING AND 2 PRECEDING) AS before "
            "FROM ({}) AS rows"
        ).format(sql.SQL(" + ").join(map(sql.SQL, self.large.values())), order, rows)
        return sql.SQL("SELECT {} FROM ({}) AS page WHERE coalesce(before, 0) < {} ORDER BY {}").format(
            columns_of(self.row), before, sql.Literal(PAGE_BYTES_MAX), order
        )

    def _order(self, is_newest: bool) -> sql.Composed:
        direction = sql.SQL(" DESC" if is_newest else "")
        return sql.SQL(", ").join(sql.Identifier(name) + direction for name in self.key)

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


def _equals(column: str, value: str) -> sql.Composed:
    return sql.SQL("{} = {}").format(sql.Identifier(column), sql.Placeholder(value))


def _size_of(value: Sized) -> int:
    return ID_DIGITS * len(value) if isinstance(value, list) else len(value)
