"""The command `momus`: loads the command that was named, and turns the errors that are to be expected into one sentence
each.

Loaded is nothing else: commands start sooner, processes of the node take less memory, and one that verifies a proof has
no SQL and no log in it.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from contextlib import nullcontext, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Final

from cli.streams import is_told, open_streams, private_files
from node.home import exits
from node.process.disk import refused
from node.process.parent_death import interrupted_by_sigterm

if TYPE_CHECKING:
    import typer

COMMANDS: Final = {
    "init": "cli.init:command",
    "run": "cli.run:command",
    "keys": "cli.joining:keys_app",
    "genesis": "cli.joining:genesis_app",
    "submit": "cli.submit:app",
    "tx": "cli.tx:command",
    "status": "cli.status:command",
    "peers": "cli.peers:command",
    "admin": "cli.admin:app",
    "effects": "cli.effects:app",
    "sql": "cli.sql:command",
    "replay": "cli.replay:command",
    "audit": "cli.audit:command",
    "drill": "cli.drill:command",
    "snapshots": "cli.snapshots:command",
    "recover": "cli.recover:command",
    "at": "cli.recover:at",
    "prove": "cli.prove:app",
    "verify": "cli.verify:command",
    "simulate": "cli.simulate:command",
    "kafka": "cli.kafka:command",
    "demo": "lab.demo:command",
    "bench": "lab.bench:command",
}
"""Where each is, in the order of the help."""
_ROOT: Final = __name__.removesuffix("cli.main")
"""In a wheel all packages lie below one."""
_PROCESS: Final = ["process"]
"""`momus run` starts these, five for a node, and people none: of the command line they load nothing."""
_LONG: Final = (["init"], ["demo"], ["bench"], ["simulate"], ["drill"], ["audit"])
"""What makes, starts or finds one thing after the other: a signal ends it in order."""

_NO_TEXT: Final = "{!a} is no text in UTF-8: give another path or word, or type it where LC_ALL is C.UTF-8."


def make_app(names: Iterable[str] = COMMANDS) -> "typer.Typer":
    """The command line with these commands."""
    import typer

    from cli.help import Group

    app = typer.Typer(
        name="momus",
        help="A Byzantine-fault-tolerant ledger on Apache Kafka and Postgres.",
        epilog="Exit codes: 0 ok, 1 a check failed or a transaction was rejected, 2 usage, 3 halt, 4 unavailable.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        cls=Group,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    # Typer takes a lone command for the whole program, unless there is this.
    app.callback()(lambda: None)
    for name in names:
        module, _, attribute = COMMANDS[name].partition(":")
        found = getattr(import_module(f"{_ROOT}{module}"), attribute)
        if isinstance(found, typer.Typer):
            app.add_typer(found, name=name, cls=Group)
        else:
            app.command(name)(found)
    return app


def main() -> None:
    """Run the command line and exit."""
    # What is started from here does not look for modules in the folder where the command was typed either.
    os.environ["PYTHONSAFEPATH"] = "1"
    open_streams()
    code = run_line(sys.argv[1:])
    sys.exit(code if is_told() else code or exits.UNAVAILABLE)


def run_line(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Files that it makes are its user's alone: those of a home are nobody
    else's business, and what is meant for others goes through `output.write_file`."""
    with private_files():
        return _run(arguments)


def _run(arguments: Sequence[str]) -> int:
    try:
        with interrupted_by_sigterm() if arguments[:1] in _LONG else nullcontext():
            if arguments[:1] == _PROCESS:
                from cli.process import run

                return run(arguments[1:])
            make_app([name for name in arguments[:1] if name in COMMANDS] or COMMANDS)(
                args=list(arguments), prog_name="momus"
            )
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else exits.OK
    except Exception as error:
        code = _ended(error, arguments)
        if code is None:
            raise
        return code
    return exits.OK


def _ended(error: Exception, arguments: Sequence[str]) -> int | None:
    """The exit code of a command that ended by an error that is to be expected, and its sentence; of any other None."""
    # SQL is much to load, too.
    from cli.exit_codes import EXPECTED, sentence_of
    from cli.output import Failure

    if isinstance(error, Failure):
        return _failed(error.code, str(error), arguments, error.commands)
    for kind, code in EXPECTED.items():
        if isinstance(error, kind):
            return _failed(code, sentence_of(error), arguments)
    if isinstance(error, OSError):
        return _failed(*refused(error), arguments)
    if isinstance(error, UnicodeEncodeError):
        return _failed(exits.USAGE, _NO_TEXT.format(error.object), arguments)
    return None


def _failed(
    code: int, said: str | Exception, arguments: Sequence[str] = (), commands: Sequence[str] | None = None
) -> int:
    """The sentence, and below it, where somebody sits at a terminal, what it says to type next, whole."""
    from cli.output import errors

    sentence = str(said)
    with suppress(OSError):
        errors.print(f"momus: {sentence.strip()}", markup=False)
        if errors.is_terminal and "`momus " in sentence:
            from cli.typed import home_of, remedies

            for command in remedies(sentence, home_of(arguments)) if commands is None else commands:
                errors.print(f"  {command}", markup=False)
    return code
