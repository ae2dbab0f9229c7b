"""The settings of discovery, a branch of the tree."""

from typing import Annotated, Final

from pydantic import AfterValidator, model_validator

from node.settings.declare import Part, whole, words
from sync.node_record import VALID_FOR_MS_MAX, VALID_FOR_MS_MIN, is_address

EVERY_MS_MIN: Final = 200
"""Announcements that come faster would only fill the topic."""


def _checked_own_address(text: str) -> str:
    if not is_address(text):
        raise ValueError(f"{text!r} is no address: http://host:port or https://host:port")
    return text


class DiscoverySettings(Part):
    """What this node tells the others of itself through the registry topic, and hears from them."""

    every_ms: int = whole(
        10_000,
        0,
        300_000,
        "ms",
        "From one announcement to the next; 0: this node neither announces itself nor listens.",
    )
    valid_ms: int = whole(
        35_000, VALID_FOR_MS_MIN, VALID_FOR_MS_MAX, "ms", "So long after an announcement the others hold it for true."
    )
    api_address: Annotated[str, AfterValidator(_checked_own_address)] = words(
        "",
        "`http://host:port` or `https://host:port` at which others reach this node's HTTP API; none: where `[api]` "
        "answers, unless others cannot reach that: see docs/discovery.md.",
    )
    sync_address: Annotated[str, AfterValidator(_checked_own_address)] = words(
        "", "The same of its records for the other validators; none: `peers.listen`, likewise."
    )

    @model_validator(mode="after")
    def _outlasts_the_next(self) -> "DiscoverySettings":
        if 0 < self.every_ms < EVERY_MS_MIN:
            raise ValueError(f"every_ms is 0, or at least {EVERY_MS_MIN}")
        if self.valid_ms <= self.every_ms:
            raise ValueError("valid_ms must be more than every_ms")
        return self
