"""`momus submit`: one signed transaction from the command line.

A transaction that needs the id of another's asset or object takes it as 64 hex digits, or an asset by its name.
"""

import inspect
import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.command_parsing import command_of
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure
from cli.submission import Sending, send
from ledger.commands import (
    Burn,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
    complete,
    spelling,
)
from node.home import exits

FILE_BYTES_MAX = 16 << 20

Documents = list[dict[str, Any]]
"""Commands as `cli.command_parsing` takes them; together one atomic transaction."""
Fields = dict[str, Any]
"""Those of one command."""

KeyOption = Annotated[Path | None, typer.Option("--key", help="Key file of the signer; default: the home's client.")]
ReferenceOption = Annotated[str, typer.Option("--reference", help="Your own reference, at most 64 bytes.")]
TimeoutOption = Annotated[float, typer.Option("--timeout", min=0.1, help="Seconds to wait for each step.")]
WaitOption = Annotated[bool, typer.Option("--wait/--no-wait", help="Wait for finality, or only for the log.")]

AssetArgument = Annotated[str, typer.Argument(help="The asset: its name, or its id in hex.")]
AmountArgument = Annotated[int, typer.Argument(min=1, help="In the asset's smallest unit.")]
ToOption = Annotated[str, typer.Option("--to", help="Address in hex, or `me`.")]
ObjectArgument = Annotated[str, typer.Argument(help="The object's id in hex.")]
VersionOption = Annotated[int, typer.Option("--version", min=0, help="Version that was read; 0: whatever (shared).")]
ContentArgument = Annotated[str, typer.Argument(help="Text, or @FILE for the bytes of a file.")]
MediaTypeOption = Annotated[str, typer.Option("--media-type", help="Media type of the content.")]
WriterOption = Annotated[list[str] | None, typer.Option("--writer", help="Address that may write; repeat for more.")]

app = typer.Typer(
    no_args_is_help=True,
    help="Sign and submit a transaction, wait for finality, and tell what became of it. --json prints digest, state "
    "(executed, rejected, pending, final or delivered), height, partition, offset, finality_ms, reason.",
)


_SUBCOMMANDS: dict[type, Callable[..., Fields]] = {}


def _subcommand(kind: type) -> Callable[[Callable[..., Fields]], Callable[..., Fields]]:
    """Registers the function that says how a command of the ledger is written on the command line."""
    key = spelling(kind)

    def register(says: Callable[..., Fields]) -> Callable[..., Fields]:
        @wraps(says)
        def documents(**given: Any) -> Documents:
            return [{key: says(**given)}]

        _send_as(key.replace("_", "-"))(documents)
        _SUBCOMMANDS[kind] = says
        return says

    return register


def _send_as(name: str) -> Callable[[Callable[..., Documents]], Callable[..., Documents]]:
    """Registers a function that says what to send as a command that sends it, with the options that all share."""

    def register(says: Callable[..., Documents]) -> Callable[..., Documents]:
        own = inspect.signature(says, eval_str=True).parameters.values()
        common = inspect.signature(_sending, eval_str=True).parameters

        def command(**given: Any) -> None:
            sending = _sending(**{option: given.pop(option) for option in common})
            send(sending, lambda names: [command_of(document, names) for document in says(**given)])

        keyword = inspect.Parameter.KEYWORD_ONLY
        parameters = [parameter.replace(kind=keyword) for parameter in (*own, *common.values())]
        command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        app.command(name, help=says.__doc__)(command)
        return says

    return register


def _sending(
    home: HomeOption = DEFAULT_HOME,
    key: KeyOption = None,
    reference: ReferenceOption = "",
    timeout: TimeoutOption = 30.0,
    wait: WaitOption = True,
    as_json: JsonOption = False,
) -> Sending:
    return Sending(home, key, reference, timeout, wait, as_json)


@_send_as("file")
def file(
    path: Annotated[str, typer.Argument(help="JSON file with a list of commands, or - for standard input.")],
) -> Documents:
    """Commands from a JSON file, as one atomic transaction.

    [{"create_asset": {"name": "EUR", "decimals": 2}}, {"transfer": {"asset": ..., "payments": [[to, amount]]}}]
    """
    try:
        text = sys.stdin.read(FILE_BYTES_MAX + 1) if path == "-" else Path(path).read_text()
        documents = json.loads(text)
    except (OSError, ValueError) as error:
        raise Failure(exits.USAGE, f"{path} cannot be read as JSON: {error}.") from error
    if not isinstance(documents, list) or not documents:
        raise Failure(exits.USAGE, f"{path} does not hold a list of commands.")
    return documents


@_subcommand(CreateAsset)
def create_asset(
    name: Annotated[str, typer.Argument(help="At most 64 bytes.")],
    decimals: Annotated[int, typer.Option(min=0, max=18, help="For display.")] = 0,
    issuer: Annotated[str, typer.Option(help="Address that may mint, or `me`.")] = "me",
) -> Fields:
    """A new asset; its id derives from the transaction's digest."""
    return {"name": name, "decimals": decimals, "issuer": issuer}


@_subcommand(Mint)
def mint(asset: AssetArgument, amount: AmountArgument, to: ToOption = "me") -> Fields:
    """New units of an asset that you issue."""
    return {"asset": asset, "amount": amount, "to": to}


@_subcommand(Burn)
def burn(asset: AssetArgument, amount: AmountArgument) -> Fields:
    """Units of your own cease to exist."""
    return {"asset": asset, "amount": amount}


@_subcommand(Transfer)
def transfer(asset: AssetArgument, amount: AmountArgument, to: ToOption) -> Fields:
    """Units of your own to another address."""
    return {"asset": asset, "amount": amount, "to": to}


@_subcommand(CreateObject)
def create_object(
    type_: Annotated[str, typer.Argument(metavar="TYPE", help="Your own name for this kind of object.")],
    content: ContentArgument,
    media_type: MediaTypeOption = "application/json",
    shared: Annotated[bool, typer.Option("--shared", help="Anybody may write, or those named by --writer.")] = False,
    writer: WriterOption = None,
) -> Fields:
    """A new object, owned by you, or shared."""
    writers = {"writers": writer or []} if shared or writer else {}
    return dict(type=type_, media_type=media_type, **_content(content), **writers)


@_subcommand(UpdateObject)
def update_object(
    object_: Annotated[str, typer.Argument(metavar="OBJECT", help="The object's id in hex.")],
    content: ContentArgument,
    version: VersionOption,
    media_type: MediaTypeOption = "application/json",
) -> Fields:
    """New content for an object."""
    return dict(object=object_, version=version, media_type=media_type, **_content(content))


@_subcommand(TransferObject)
def transfer_object(object_: ObjectArgument, version: VersionOption, to: ToOption) -> Fields:
    """A new owner for an object of yours."""
    return {"object": object_, "version": version, "to": to}


@_subcommand(ShareObject)
def share_object(object_: ObjectArgument, version: VersionOption, writer: WriterOption = None) -> Fields:
    """Share an object of yours, for good."""
    return {"object": object_, "version": version, "writers": writer or []}


@_subcommand(FreezeObject)
def freeze_object(object_: ObjectArgument, version: VersionOption) -> Fields:
    """Make an object of yours immutable, for good."""
    return {"object": object_, "version": version}


@_subcommand(DeleteObject)
def delete_object(object_: ObjectArgument, version: VersionOption) -> Fields:
    """Delete an object of yours, or a shared one that you may write."""
    return {"object": object_, "version": version}


complete(_SUBCOMMANDS, "cli/submit.py")


def _content(text: str) -> dict[str, str]:
    """The field for content: text as it is, or the bytes of a file as hex."""
    if not text.startswith("@"):
        return {"content": text}
    try:
        return {"content_hex": Path(text[1:]).read_bytes().hex()}
    except OSError as error:
        raise Failure(exits.USAGE, f"{text[1:]} cannot be read: {error.strerror}.") from error
