"""The settings in force, as they may be shown: what could open something is left out, wherever it stands."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from node.settings.secrets import SECRET_WORDS
from node.settings.tree import Settings

MASK: Final = "***"


def shown(settings: Settings) -> dict[str, Any]:
    """As nested tables of what JSON has. Secrets stand in files of their own, whose paths are shown."""
    return {name: _shown(name, value) for name, value in settings.model_dump().items()}


def changed(settings: Settings) -> dict[str, Any]:
    """Those alone that are not the default's: `order.idle_ms` and so on."""
    mine, defaults = _flat(shown(settings)), _flat(shown(Settings()))
    return {name: value for name, value in mine.items() if name not in defaults or defaults[name] != value}


def without_password(text: str) -> str:
    """A URL without who logs in and how; any other text as it is."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return MASK
    if "://" not in text or parts.netloc == "" or ("@" not in parts.netloc and not parts.query):
        return text
    user, _, host = parts.netloc.rpartition("@")
    name = user.partition(":")[0]
    who = f"{name}:{MASK}@" if ":" in user else f"{name}@" if user else ""
    return parts._replace(netloc=who + host, query=MASK if parts.query else "").geturl()


def _shown(name: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return {each: _shown(each, below) for each, below in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(name, each) for each in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, str):
        is_secret = any(word in name for word in SECRET_WORDS) and not name.endswith("_file")
        return MASK if is_secret else without_password(value)
    return value


def _flat(tree: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= _flat(value, f"{above}{name}.") if isinstance(value, Mapping) else {f"{above}{name}": value}
    return found
