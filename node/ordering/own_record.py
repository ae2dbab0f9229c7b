"""What this node says of itself in its node records, as the settings have it."""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final

from ledger.keys import PrivateKey
from node.settings.tree import Settings
from sync.address import host_and_port
from sync.node_record import NodeRecord, is_address

_LOOPBACK_NAME: Final = "localhost"


@dataclass(frozen=True, slots=True)
class Own:
    """What a node says of itself that does not change while it runs."""

    key: PrivateKey
    name: str
    version: str
    roles: tuple[str, ...]
    api_address: str
    sync_address: str
    every_ms: int
    valid_ms: int

    def record(self, sequence: int, status: Mapping[str, int]) -> NodeRecord:
        """The next one."""
        return NodeRecord(
            sequence=sequence,
            valid_for_ms=self.valid_ms,
            version=self.version,
            roles=self.roles,
            api_address=self.api_address,
            sync_address=self.sync_address,
            height=status["height"],
            checkpoint_height=status["certified_height"],
        )


def own_of(settings: Settings, key: PrivateKey) -> Own:
    """As the settings say it."""
    api_address, sync_address = _api_address(settings), _sync_address(settings)
    offered = (("api", api_address), ("records", sync_address), ("validator", "always"))
    return Own(
        key=key,
        name=settings.validator,
        version=version("momus"),
        roles=tuple(role for role, is_offered in offered if is_offered),
        api_address=api_address,
        sync_address=sync_address,
        every_ms=settings.discovery.every_ms,
        valid_ms=settings.discovery.valid_ms,
    )


def _api_address(settings: Settings) -> str:
    api, told = settings.api, settings.discovery.api_address
    return told or (_reached(settings, "http", api.host, api.port) if api.port else "")


def _sync_address(settings: Settings) -> str:
    peers, told = settings.peers, settings.discovery.sync_address
    if told or not peers.listen:
        return told
    return _reached(settings, "https" if peers.certificate_file else "http", *host_and_port(peers.listen))


def _reached(settings: Settings, scheme: str, host: str, port: int) -> str:
    """Where others reach what listens at a host and port; empty where that is every address of the machine, which
    tells nobody anything, or one of this machine alone, unless the others are on it, too."""
    if _is_every(host) or (_is_loopback(host) and settings.log.kind != "embedded"):
        return ""
    address = f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    return address if is_address(address) else ""


def _is_every(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return False


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == _LOOPBACK_NAME
