"""Logs what is wrong with the node when it begins and when it is over, in the words of /readyz and more."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import structlog

from node.home.layout import Home
from node.process.repeating import repeating
from node.settings.tree import Settings
from node.supervision.health import Health, health_of

LOOK_S: Final = 1.0
QUIET: Final = ("starting", "paused")
"""The supervisor logs these itself, as it starts and pauses processes."""

_log = structlog.get_logger()


class Teller:
    """One line for each change of what is wrong."""

    def __init__(self) -> None:
        self._keys: frozenset[tuple[str, str]] = frozenset()

    def look(self, health: Health) -> None:
        """Log what is new."""
        told = [finding for finding in health.findings if finding.code not in QUIET]
        keys = frozenset(finding.key for finding in told)
        if keys - self._keys:
            _log.warning(
                "not ready",
                reasons=[finding.text() for finding in told],
                final_age_ms=health.final_age_ms,
                waiting_records=health.waiting_records,
            )
        elif self._keys and not keys:
            _log.info("ready again", final_age_ms=health.final_age_ms)
        elif keys != self._keys:
            _log.info("still not ready", reasons=[finding.text() for finding in told])
        self._keys = keys


@contextmanager
def health_told(home: Home, settings: Settings, look: Callable[[Home, Settings], Health] = health_of) -> Iterator[None]:
    """While the body runs: look once a second."""
    teller = Teller()
    with repeating("health", lambda: teller.look(look(home, settings)), LOOK_S):
        yield
