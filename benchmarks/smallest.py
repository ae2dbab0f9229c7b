"""What every benchmark has in common: `--smallest`, with which it only shows that it runs, and an end in order."""

from collections.abc import Callable
from typing import Final

from node.process.parent_death import interrupted_by_sigterm

SMALLEST: Final = "The least of everything: figures that say nothing, to see that it runs."


def run_to_its_end(main: Callable[[], None]) -> None:
    """As a program: SIGTERM ends it as Ctrl-C does, and the nodes that it started with it."""
    with interrupted_by_sigterm():
        main()
