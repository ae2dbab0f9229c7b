"""Figures that are kept as they come: whatever ends a bench, what it has measured until then is there."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol

from rich.console import Console

from cli.output import show_json
from cli.streams import public_mode
from node.home.files import replace_file

UNDER_WAY: Final = "it is under way"


class Shown(Protocol):
    """Figures."""

    def as_json(self) -> dict[str, Any]: ...

    def show(self, console: Console) -> None: ...


class Keeper:
    """Writes to `file`; `-`: to standard output, at the end; None: nowhere. Raises: OSError."""

    def __init__(self, file: Path | None) -> None:
        self._file = file

    def keep(self, figures: Shown, failed: str | None = UNDER_WAY) -> None:
        """Put these in place of those before, with why they are not all that there are to be."""
        if self._file is not None and self._file != Path("-"):
            replace_file(self._file, _text(figures, failed).encode(), public_mode())

    @contextmanager
    def kept(self, console: Console, figures: Shown) -> Iterator[None]:
        """At the end, whatever it is, the figures are shown and written."""
        failed: str | None = None
        try:
            yield
        except BaseException as error:
            failed = str(error) or type(error).__name__
            raise
        finally:
            figures.show(console)
            self.keep(figures, failed)
            if self._file == Path("-"):
                show_json({**figures.as_json(), "failed": failed}, 2)


def _text(figures: Shown, failed: str | None) -> str:
    return json.dumps({**figures.as_json(), "failed": failed}, indent=2) + "\n"
