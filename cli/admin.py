"""`momus admin`: what operators see of a running node and do to it, through its management (docs/management.md)."""

import os
import time
from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.admin_client import Access, AdminRefused, AdminUnreachable, admin_client
from cli.drill import Source
from cli.options import DEFAULT_HOME, HomeOption, JsonOption
from cli.output import Failure, note, results, show, show_rows
from cli.typed import remedies
from node.home import exits
from node.home.files import replace_file
from node.home.layout import Home
from node.home.tokens import Tokens
from node.recovery.damage import Injection
from node.settings.admin import UNIX

DAY_MS = 86_400_000
WhyOption = Annotated[str, typer.Option("--why", help="Why, for those who read the list of actions later.")]
TimeoutOption = Annotated[int, typer.Option("--timeout-ms", min=0, help="How long to wait.")]

app = typer.Typer(help="Manage a running node: pause, snapshot, drill, log level, diagnostics.", no_args_is_help=True)
token_app = typer.Typer(help="Who may manage the node of a home.", no_args_is_help=True)
app.add_typer(token_app, name="token")


class Role(StrEnum):
    """Each may do what those before it may."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"


class Level(StrEnum):
    """Of logs."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    DEFAULT = "default"


class Process(StrEnum):
    """What can be paused."""

    ORDER = "order"
    EXECUTE = "execute"
    PEERS = "peers"
    DRILLS = "drills"
    API = "api"
    EFFECTS = "effects"


@app.callback()
def access(
    context: typer.Context,
    home: HomeOption = DEFAULT_HOME,
    address: Annotated[
        str, typer.Option(help="https://host:port of a node elsewhere; else the socket of --home.")
    ] = "",
    token_file: Annotated[
        Path | None, typer.Option(envvar="MOMUS_TOKEN_FILE", help="File that holds the token; else the home's own.")
    ] = None,
    ca_file: Annotated[Path | None, typer.Option(help="PEM file of who signs the node's certificate.")] = None,
    certificate_file: Annotated[Path | None, typer.Option(help="PEM file of the own certificate.")] = None,
    certificate_key_file: Annotated[Path | None, typer.Option(help="PEM file of its key.")] = None,
) -> None:
    """Manage a running node."""
    place = Home(home.absolute())
    if not address and place.settings_file.is_file():
        listen = place.settings(dict(os.environ)).admin.listen
        address = "" if listen in ("", UNIX) else listen if "://" in listen else f"http://{listen}"
    context.obj = Access(
        place, address, token_file or place.own_token_file, ca_file, certificate_file, certificate_key_file
    )


@app.command()
def status(context: typer.Context, as_json: JsonOption = False) -> None:
    """What the node's processes do, whether it is ready, and why not. Exit code 1: it is not ready.

    --json prints validator, version, ready, reasons [sentences], wanted {paused, log_level, snapshot_from, prune_to},
    processes [{process, pid, state, since_ms, detail, is_alive}].
    """
    facts = _asked(context, "/status")
    if as_json:
        show(True, facts, "")
    else:
        rows = [(each["process"], each["state"], each["detail"]) for each in facts["processes"]]
        show_rows(("process", "state", ""), rows)
        for name, value in facts["wanted"].items():
            if value:
                results.print(f"wanted: {name} = {value}", markup=False)
        show(False, {}, facts["reasons"] or "The node is ready.")
        show(False, {}, [f"  {command}" for command in remedies(" ".join(facts["reasons"]), context.obj.home.path)])
    if not facts["ready"]:
        raise typer.Exit(exits.FAILED)


@app.command()
def config(
    context: typer.Context,
    is_all: Annotated[bool, typer.Option("--all", help="Not only what differs from the defaults.")] = False,
    as_json: JsonOption = False,
) -> None:
    """The settings in force, without secrets. --json prints changed {name: value}, settings {part: {name: value}}."""
    facts = _asked(context, "/config")
    flat = {f"{part}.{name}": value for part, below in facts["settings"].items() for name, value in _items(below)}
    shown = flat if is_all else facts["changed"]
    show(as_json, facts, [f"{name} = {value}" for name, value in shown.items()] or "All settings are the defaults.")


@app.command()
def actions(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=1_000, help="So many of the newest.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """What operators did, newest first; api.admin_actions has it in SQL. --json prints items [{number, at_ms, actor,
    role, action, arguments, why, outcome, result, took_ms}]."""
    facts = _asked(context, "/actions", limit=limit)
    if as_json:
        show(True, facts, "")
        return
    columns = ("number", "at", "actor", "action", "outcome", "why")
    rows = [
        (str(each["number"]), _time(each["at_ms"]), each["actor"], each["action"], each["outcome"], each["why"])
        for each in facts["items"]
    ]
    show_rows(columns, rows)


@app.command()
def pause(
    context: typer.Context,
    why: WhyOption,
    processes: Annotated[list[Process] | None, typer.Argument(help="By default order and execute.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Pause processes until `resume`, also over a restart of the node."""
    arguments = {"processes": [each.value for each in processes]} if processes else {}
    _act(context, "pause", why, as_json, arguments)


@app.command()
def resume(context: typer.Context, why: WhyOption, as_json: JsonOption = False) -> None:
    """Let all paused processes go on."""
    _act(context, "resume", why, as_json)


@app.command()
def stop(context: typer.Context, why: WhyOption, as_json: JsonOption = False) -> None:
    """Drain and stop the node. Needs the role admin."""
    _act(context, "stop", why, as_json)


@app.command()
def checkpoint(
    context: typer.Context, why: WhyOption, timeout_ms: TimeoutOption = 120_000, as_json: JsonOption = False
) -> None:
    """Wait until all that is executed now is under a certified checkpoint."""
    _act(context, "checkpoint", why, as_json, {"timeout_ms": timeout_ms})


@app.command()
def snapshot(
    context: typer.Context, why: WhyOption, timeout_ms: TimeoutOption = 600_000, as_json: JsonOption = False
) -> None:
    """Make a snapshot now: of the newest checkpoint if the database is there, else of the next."""
    _act(context, "snapshot", why, as_json, {"timeout_ms": timeout_ms})


@app.command()
def prune(
    context: typer.Context,
    to_height: Annotated[int, typer.Argument(min=1, help="History up to here may go.")],
    why: WhyOption,
    as_json: JsonOption = False,
) -> None:
    """Let history go that the settings would keep, in whole partitions. Needs the role admin."""
    _act(context, "prune", why, as_json, {"to_height": to_height})


@app.command()
def drill(
    context: typer.Context,
    why: WhyOption,
    inject: Annotated[Injection | None, typer.Option(help="Damage the copy first.")] = None,
    source: Annotated[Source | None, typer.Option("--from", help="The only recovery path to take.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Rehearse recovery on the node's own machine, as `momus drill` does there."""
    _act(context, "drill", why, as_json, {"inject": inject and inject.value, "source": source and source.value})


@app.command("log-level")
def log_level(context: typer.Context, level: Level, why: WhyOption, as_json: JsonOption = False) -> None:
    """Change what all processes log, from now on; `default` goes back to the settings."""
    _act(context, "log-level", why, as_json, {"level": level.value})


@app.command()
def diagnostics(
    context: typer.Context,
    why: WhyOption,
    to: Annotated[Path | None, typer.Option("--to", help="Where to put the bundle; else into this folder.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Fetch a bundle for a support case: settings, states, numbers, logs; no keys, tokens or records."""
    action = _done(context, "diagnostics", why, {})
    content = _with(context, lambda client: client.download(f"/diagnostics/{action['number']}"))
    file = to or Path(action["result"]["bundle"])
    replace_file(file, content, mode=0o600)
    show(as_json, {**action, "file": str(file)}, f"{file}: {len(content):,} bytes.")


@token_app.command("add")
def add_token(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="Who acts with it, as the list of actions will show.")],
    role: Annotated[Role, typer.Option(help="viewer sees, operator acts, admin also stops and prunes.")] = Role.VIEWER,
    days: Annotated[int, typer.Option(min=0, max=36_500, help="Valid so long; 0: for ever.")] = 0,
    file: Annotated[
        Path | None, typer.Option(help="Write it there, for its owner alone, instead of showing it.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a token. It is shown once: the home keeps its hash. --json prints name, role, token or file."""
    token = _changed(context, lambda tokens: tokens.add(name, role.value, days * DAY_MS))
    if file is not None:
        replace_file(file, token.encode() + b"\n", mode=0o600)
        show(as_json, {"name": name, "role": role.value, "file": str(file)}, f"The token of {name} is in {file}.")
        return
    if not as_json:
        note(f"The token of {name} ({role.value}). It is not shown again:")
    show(as_json, {"name": name, "role": role.value, "token": token}, token)


@token_app.command("remove")
def remove_token(context: typer.Context, name: str, as_json: JsonOption = False) -> None:
    """From now on it opens nothing. --json prints removed."""
    _changed(context, lambda tokens: tokens.remove(name))
    show(as_json, {"removed": name}, f"The token of {name} opens nothing any more.")


@token_app.command("list")
def list_tokens(context: typer.Context, as_json: JsonOption = False) -> None:
    """Whose tokens there are. --json prints tokens [{name, role, made_at_ms, expires_at_ms}]."""
    known = _changed(context, lambda tokens: tokens.all())
    facts = [{name: value for name, value in asdict(each).items() if name != "digest"} for each in known]
    if as_json:
        show(True, {"tokens": facts}, "")
        return
    rows = [
        (each.name, each.role, _time(each.made_at_ms), _time(each.expires_at_ms) if each.expires_at_ms else "never")
        for each in known
    ]
    show_rows(("name", "role", "made", "expires"), rows)


def _changed(context: typer.Context, change: Any) -> Any:
    return change(Tokens(context.obj.home.tokens_file))


def _with(context: typer.Context, ask: Any) -> Any:
    try:
        with admin_client(context.obj) as client:
            return ask(client)
    except (AdminUnreachable, FileNotFoundError) as error:
        raise Failure(exits.UNAVAILABLE, str(error)) from error
    except AdminRefused as error:
        raise Failure(exits.FAILED, str(error)) from error


def _asked(context: typer.Context, path: str, **parameters: Any) -> dict[str, Any]:
    return dict(_with(context, lambda client: client.get(path, **parameters)))


def _done(context: typer.Context, name: str, why: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    action = dict(_with(context, lambda client: client.act(name, why, arguments)))
    if action["outcome"] != "done":
        raise Failure(exits.FAILED, f"{name}: {action['outcome']}: {(action['result'] or {}).get('reason', '')}")
    return action


def _act(
    context: typer.Context, name: str, why: str, as_json: bool, arguments: Mapping[str, Any] | None = None
) -> None:
    """Have it done and tell what came of it; --json prints the action, as `actions` does."""
    action = _done(context, name, why, {key: value for key, value in (arguments or {}).items() if value is not None})
    lines = [f"{key}: {value}" for key, value in (action["result"] or {}).items()]
    show(as_json, action, [f"Action {action['number']} is done.", *lines])


def _items(below: Any) -> Any:
    return below.items() if isinstance(below, Mapping) else [("", below)]


def _time(at_ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at_ms / 1000)) + " UTC"
