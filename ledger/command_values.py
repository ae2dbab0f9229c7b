"""Commands between their values and their Avro dicts, and the ranges that Avro does not express."""

from collections.abc import Callable
from typing import Any, Final, get_args

import numpy as np

from ledger.commands import (
    Burn,
    Command,
    CreateAsset,
    CreateObject,
    DeleteObject,
    FreezeObject,
    Mint,
    ShareObject,
    Transfer,
    TransferObject,
    UpdateObject,
)
from ledger.genesis import Limits
from ledger.rejection import Reason, Rejection

AMOUNT_MAX: Final = 2**63 - 1
ADDRESS_SIZE: Final = 32
AMOUNT_SIZE: Final = 8
ASSET_NAME_BYTES_MAX: Final = 64
DECIMALS_MAX: Final = 18
TYPE_SIZE_MAX: Final = 128
WRITERS_MAX: Final = 256

AvroCommand = tuple[str, dict[str, Any]]

_CLASSES: Final[dict[str, Callable[..., Command]]] = {
    f"momus.v1.{command.__name__}": command for command in get_args(Command)
}
_NAMES: Final = {command: name for name, command in _CLASSES.items()}
_FIELDS: Final = {command: tuple(command.__dataclass_fields__) for command in get_args(Command)}


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
    return _CLASSES[name](**fields)


def check_command(command: Command, limits: Limits) -> Rejection | None:
    """Why the command's values are out of range; None: they are not. Sizes of ids are the schema's matter."""
    match command:
        case Transfer():
            return _check_transfer(command, limits)
        case Mint() | Burn():
            return None if 0 < command.amount <= AMOUNT_MAX else Rejection(Reason.AMOUNT_RANGE)
        case CreateAsset():
            return _check_asset(command)
        case CreateObject():
            return _check_object(command, limits)
        case UpdateObject():
            return (
                _check_media_type(command.media_type)
                or _check_content(command.content, limits)
                or _check_version(command)
            )
        case ShareObject():
            return _check_version(command) or _check_writers(command.writers)
        case TransferObject() | FreezeObject() | DeleteObject():
            return _check_version(command)


def are_amounts(packed: bytes) -> bool:
    """Whether every packed big-endian i64 is > 0."""
    if len(packed) == AMOUNT_SIZE:
        return packed[0] < 0x80 and any(packed)
    return bool((np.frombuffer(packed, ">i8") > 0).all())


def _check_transfer(transfer: Transfer, limits: Limits) -> Rejection | None:
    count, rest = divmod(len(transfer.recipients), ADDRESS_SIZE)
    if rest or count * AMOUNT_SIZE != len(transfer.amounts) or not 1 <= count <= limits.recipients_max:
        return Rejection(Reason.RECIPIENTS_COUNT)
    return None if are_amounts(transfer.amounts) else Rejection(Reason.AMOUNT_RANGE)


def _check_asset(command: CreateAsset) -> Rejection | None:
    size = len(command.name.encode())
    if not 1 <= size <= ASSET_NAME_BYTES_MAX or any(c < " " or c == "\x7f" for c in command.name):
        return Rejection(Reason.FIELD_RANGE, "the name of the asset")
    return None if 0 <= command.decimals <= DECIMALS_MAX else Rejection(Reason.FIELD_RANGE, "decimals")


def _check_object(command: CreateObject, limits: Limits) -> Rejection | None:
    if not _is_printable_ascii(command.type):
        return Rejection(Reason.FIELD_RANGE, "type")
    return (
        _check_media_type(command.media_type)
        or _check_content(command.content, limits)
        or _check_writers(command.writers or ())
    )


def _check_media_type(media_type: str) -> Rejection | None:
    return None if _is_printable_ascii(media_type) else Rejection(Reason.FIELD_RANGE, "media_type")


def _is_printable_ascii(text: str) -> bool:
    """1 to 128 characters from space to tilde. (`str.isprintable` would depend on Python's version.)"""
    return 1 <= len(text) <= TYPE_SIZE_MAX and all(" " <= character <= "~" for character in text)


def _check_content(content: bytes, limits: Limits) -> Rejection | None:
    return None if len(content) <= limits.content_bytes_max else Rejection(Reason.CONTENT_SIZE)


def _check_writers(writers: tuple[bytes, ...]) -> Rejection | None:
    return None if len(writers) <= WRITERS_MAX else Rejection(Reason.FIELD_RANGE, "writers")


def _check_version(
    command: UpdateObject | TransferObject | ShareObject | FreezeObject | DeleteObject,
) -> Rejection | None:
    return None if command.version >= 0 else Rejection(Reason.FIELD_RANGE, "version")
