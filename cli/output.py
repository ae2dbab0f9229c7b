"""What commands print: results to standard output, as text or as one JSON object; all else to standard error."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from cli.streams import public_files
from node.process.disk import refused
from node.process.terminal import printable


class Terminal(Console):
    """Where commands print; nothing else does. Whatever a text says, it neither colours nor moves anything."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """As rich does, with all texts as a terminal may show them."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(printable(segment.text, "\n"), segment.style)


errors = Terminal(stderr=True, soft_wrap=True)
results = Terminal(soft_wrap=True)


class Failure(Exception):
    """A command cannot do what it was asked; one sentence, and the exit code.

    `commands`: what to type next; None: what the sentence names, for the home of this command."""

    def __init__(self, code: int, sentence: str, commands: Sequence[str] | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.commands = commands


def write_file(path: Path, content: bytes, option: str) -> None:
    """A file that the user named, to do with it what they like. Raises: Failure."""
    try:
        with public_files():
            path.write_bytes(content)
    except OSError as error:
        code, sentence = refused(error, path)
        raise Failure(code, f"{option}: {sentence}") from error


def show(as_json: bool, value: Mapping[str, Any], text: str | Iterable[str]) -> None:
    """The result of a command: `value` as one JSON object, or `text` for people; of lines each stays one."""
    if as_json:
        show_json(value)
        return
    for line in [text] if isinstance(text, str) else map(printable, text):
        results.print(line)


def show_json(value: Any, indent: int | None = None) -> None:
    """One JSON document, all of it in ASCII."""
    typer.echo(json.dumps(value, indent=indent))


def note(sentence: str) -> None:
    """Something worth knowing that is not the result."""
    errors.print(sentence)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """A table for people."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(Text(printable(column)), overflow="fold")
    for row in rows:
        made.add_row(*(Text(printable(cell)) for cell in row))
    return made


def show_rows(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows as a table; where they are too wide for the terminal, one line per field."""
    heads, *lines = [[printable(cell) for cell in line] for line in (columns, *rows)]
    width = sum(2 + max(cell_len(line[at]) for line in (heads, *lines)) for at in range(len(heads)))
    if not results.is_terminal or width <= results.width:
        Terminal(width=max(width, 1)).print(table(heads, lines))
        return
    pad = max(map(len, heads))
    for number, line in enumerate(lines, 1):
        results.print(f"-- {number} --", style="bold")
        for column, cell in zip(heads, line, strict=True):
            results.print(f"{column:{pad}}  {cell}")


def description() -> TextColumn:
    """What a bar says it is of."""
    return TextColumn("{task.description}", markup=False)


def progress(is_hidden: bool) -> Progress:
    """Progress of long work, on standard error, gone when it is done; nothing where nobody watches."""
    return Progress(
        SpinnerColumn(),
        description(),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        console=errors,
        transient=True,
        disable=is_hidden or not errors.is_terminal,
    )
