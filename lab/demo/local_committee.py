"""Several validators on this machine, each as `LocalNode`: started and stopped together, compared with each other."""

import os
import time
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from lab.demo.local_node import PROCESSES, LocalNode, NodeFailed
from lab.demo.started import Started
from node.wiring import database_url
from projections.audit.fingerprint import Image, compare, image

_POLL_S = 0.1
_START_S = 300.0


class LocalCommittee(Started):
    """The nodes of the homes that `momus init` made."""

    def __init__(self, homes: Sequence[Path], environments: Sequence[Mapping[str, str]] = ()) -> None:
        """`environments`: more variables for each node."""
        self.nodes = tuple(LocalNode(home, more) for home, more in zip_longest(homes, environments))

    @property
    def urls(self) -> tuple[str, ...]:
        """Where each node's database is."""
        return tuple(url_of(node) for node in self.nodes)

    def start(self) -> None:
        """All at once. Raises: NodeFailed."""
        for node in self.nodes:
            node.launch()
        for node in self.nodes:
            node.wait_running(PROCESSES, _START_S)

    def stop(self) -> None:
        """All at once, each drained. Raises: NodeFailed."""
        for node in self.nodes:
            node.terminate()
        for node in self.nodes:
            node.stop()

    def abort(self) -> None:
        """End all that runs, at once, the databases too."""
        for node in self.nodes:
            node.kill_9_all()

    def at_rest(self, timeout_s: float) -> tuple[Image, ...]:
        """Every database, all at one height. Raises: NodeFailed where they do not come to rest there in time."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            images = tuple(map(image, self.urls))
            if len({one.height for one in images}) == 1:
                return images
            time.sleep(_POLL_S)
        raise NodeFailed(f"the databases did not come to one height within {timeout_s:g} s")

    def differences(self, timeout_s: float) -> list[str]:
        """A sentence per table in which a node differs from the first; none: all are equal row for row."""
        first, *others = self.at_rest(timeout_s)
        return [
            f"{node.home.path.name}: {sentence}"
            for node, other in zip(self.nodes[1:], others, strict=True)
            for sentence in compare(first.tables, other.tables)
        ]


def url_of(node: LocalNode) -> str:
    """Where a node's database is."""
    return database_url(node.home, node.home.settings(dict(os.environ)))
