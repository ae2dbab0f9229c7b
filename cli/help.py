"""Help texts as they were written: plain, since rich takes what stands in brackets for its own, and whole."""

from typing import Any

from typer.core import TyperGroup

_SENTENCE_MAX = 1_000


class Group(TyperGroup):
    """Commands with all of their first sentences; click cuts them where a line ends."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """One paragraph each."""
        shown = {name: command for name, command in self.commands.items() if not command.hidden}
        with formatter.section("Commands"):
            formatter.write_dl([(name, each.get_short_help_str(_SENTENCE_MAX)) for name, each in shown.items()])
