"""Which processes a node has, by its settings."""

from typing import Final

from node.settings.tree import Settings

NEEDED: Final = ("order", "execute")
"""Without these the node takes no part."""


def optional_processes(settings: Settings) -> tuple[str, ...]:
    """Those that the settings ask for."""
    wanted = {
        "peers": bool(settings.peers.listen),
        "drills": bool(settings.drills.every_ms),
        "api": bool(settings.api.port),
        "effects": settings.effects.enabled,
        "admin": bool(settings.admin.listen),
    }
    return tuple(name for name, is_wanted in wanted.items() if is_wanted)
