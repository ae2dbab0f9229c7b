"""Commands of transactions from what people write: one JSON object each, ``{"transfer": {"asset": ..., ...}}``.

Ids and addresses are 64 hex digits; an address may be ``me`` (the signer), an asset its name where only one has it.
Amounts are whole numbers of the asset's smallest unit.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from struct import pack
from typing import Any, Final

from ledger import commands
from ledger.commands import Command
from ledger.errors import CallerError

AMOUNT_MAX: Final = 2**63 - 1
_MISSING: Final = object()


class BadCommand(CallerError, ValueError):
    """What was written is not a command; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Names:
    """What names stand for. `asset_named` finds an asset's id. Raises: BadCommand."""

    signer: bytes
    asset_named: Callable[[str], bytes]


class _Fields:
    """The fields of one command; every one must be taken."""

    def __init__(self, kind: str, given: Mapping[str, Any], names: Names) -> None:
        self._kind = kind
        self._given = dict(given)
        self._names = names

    def take(self, name: str, kind: type, default: Any = _MISSING) -> Any:
        value = self._given.pop(name, default)
        if value is _MISSING:
            raise BadCommand(f"{self._kind} needs {name}")
        if value is not default and (not isinstance(value, kind) or (kind is int and isinstance(value, bool))):
            raise BadCommand(f"{self._kind}: {name} is not a {kind.__name__}")
        return value

    def digest(self, name: str) -> bytes:
        return hex_digest(self.take(name, str), f"{self._kind}: {name}")

    def address(self, name: str, default: str | None = None) -> bytes:
        return self._address(self.take(name, str, _MISSING if default is None else default), name)

    def asset(self) -> bytes:
        text = self.take("asset", str)
        return bytes.fromhex(text) if _is_digest(text) else self._names.asset_named(text)

    def amount(self, name: str = "amount") -> int:
        return self._amount(self.take(name, int), name)

    def payments(self) -> tuple[bytes, bytes]:
        """``to`` and ``amount``, or ``payments: [[to, amount], ...]``, packed."""
        if "payments" not in self._given:
            return self.address("to"), pack(">q", self.amount())
        pairs = self.take("payments", list)
        if not all(isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
            raise BadCommand(f"{self._kind}: payments is a list of [address, amount]")
        recipients = b"".join(self._address(to, "payments") for to, _ in pairs)
        return recipients, b"".join(pack(">q", self._amount(amount, "payments")) for _, amount in pairs)

    def writers(self) -> tuple[bytes, ...] | None:
        given = self.take("writers", list, None)
        return None if given is None else tuple(self._address(writer, "writers") for writer in given)

    def content(self) -> bytes:
        if "content_hex" in self._given:
            try:
                return bytes.fromhex(self.take("content_hex", str))
            except ValueError as error:
                raise BadCommand(f"{self._kind}: content_hex is not hex") from error
        return str(self.take("content", str)).encode()

    def end(self) -> None:
        if self._given:
            raise BadCommand(f"{self._kind} has no {', '.join(sorted(self._given))}")

    def _address(self, text: object, name: str) -> bytes:
        return self._names.signer if text == "me" else hex_digest(text, f"{self._kind}: {name}")

    def _amount(self, value: object, name: str) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= AMOUNT_MAX:
            raise BadCommand(f"{self._kind}: {name} is a whole number from 1 to 2^63 - 1")
        return value


def hex_digest(text: object, what: str) -> bytes:
    """32 bytes from 64 hex digits. Raises: BadCommand."""
    if not isinstance(text, str) or not _is_digest(text):
        raise BadCommand(f"{what} is 64 hex digits, not {text!r}")
    return bytes.fromhex(text)


def _is_digest(text: str) -> bool:
    return len(text) == 64 and all(character in "0123456789abcdefABCDEF" for character in text)


def _create_asset(f: _Fields) -> Command:
    return commands.CreateAsset(f.take("name", str), f.take("decimals", int, 0), f.address("issuer", "me"))


def _mint(f: _Fields) -> Command:
    return commands.Mint(f.asset(), f.address("to", "me"), f.amount())


def _burn(f: _Fields) -> Command:
    return commands.Burn(f.asset(), f.amount())


def _transfer(f: _Fields) -> Command:
    return commands.Transfer(f.asset(), *f.payments())


def _create_object(f: _Fields) -> Command:
    media_type = f.take("media_type", str, "application/json")
    return commands.CreateObject(f.take("type", str), media_type, f.content(), f.writers())


def _update_object(f: _Fields) -> Command:
    media_type = f.take("media_type", str, "application/json")
    return commands.UpdateObject(f.digest("object"), f.take("version", int), media_type, f.content())


def _transfer_object(f: _Fields) -> Command:
    return commands.TransferObject(f.digest("object"), f.take("version", int), f.address("to"))


def _share_object(f: _Fields) -> Command:
    return commands.ShareObject(f.digest("object"), f.take("version", int), f.writers() or ())


def _freeze_object(f: _Fields) -> Command:
    return commands.FreezeObject(f.digest("object"), f.take("version", int))


def _delete_object(f: _Fields) -> Command:
    return commands.DeleteObject(f.digest("object"), f.take("version", int))


_BUILDERS: Final[Mapping[type, Callable[[_Fields], Command]]] = commands.complete(
    {
        commands.CreateAsset: _create_asset,
        commands.Mint: _mint,
        commands.Burn: _burn,
        commands.Transfer: _transfer,
        commands.CreateObject: _create_object,
        commands.UpdateObject: _update_object,
        commands.TransferObject: _transfer_object,
        commands.ShareObject: _share_object,
        commands.FreezeObject: _freeze_object,
        commands.DeleteObject: _delete_object,
    },
    "cli/command_parsing.py",
)
_BY_SPELLING: Final = {commands.spelling(kind): build for kind, build in _BUILDERS.items()}


def command_of(document: object, names: Names) -> Command:
    """The command that ``{kind: {field: value}}`` says. Raises: BadCommand."""
    if not isinstance(document, dict) or len(document) != 1:
        raise BadCommand('a command is an object of one key, such as {"mint": {...}}')
    kind, given = next(iter(document.items()))
    build = _BY_SPELLING.get(kind)
    if build is None:
        raise BadCommand(f"{kind} is none of {', '.join(_BY_SPELLING)}")
    if not isinstance(given, dict):
        raise BadCommand(f"{kind} holds an object with its fields")
    fields = _Fields(kind, given, names)
    command = build(fields)
    fields.end()
    return command
