"""Commands between their values and their Avro dicts."""

from typing import Any, Final, get_args

from ledger.commands import Command, complete
from ledger.encoding.codec import load_schema

AvroCommand = tuple[str, dict[str, Any]]

_CLASSES: Final[dict[str, Any]] = {f"momus.v1.{kind.__name__}": kind for kind in get_args(Command)}
_NAMES: Final = {kind: name for name, kind in _CLASSES.items()}


def _branches() -> dict[type, tuple[str, ...]]:
    """The fields of each command that ``Body.avsc`` has."""
    (commands,) = (field for field in load_schema("Body")["fields"] if field["name"] == "commands")
    branches = {branch["name"]: branch["fields"] for branch in commands["type"]["items"]}
    return {_CLASSES.get(name, name): tuple(field["name"] for field in fields) for name, fields in branches.items()}


_FIELDS: Final = complete(_branches(), "The union of commands in Body.avsc")


def to_avro(command: Command) -> AvroCommand:
    """The command as a branch of the union in ``Body.avsc``."""
    kind = type(command)
    fields = {name: getattr(command, name) for name in _FIELDS[kind]}
    if fields.get("writers") is not None:
        fields["writers"] = list(fields["writers"])  # in a union fastavro takes a tuple for (branch name, value)
    return _NAMES[kind], fields


def from_avro(branch: AvroCommand) -> Command:
    """The command of a decoded branch; its ranges are not checked yet."""
    name, fields = branch
    if fields.get("writers") is not None:
        fields["writers"] = tuple(fields["writers"])
    command: Command = _CLASSES[name](**fields)
    return command
