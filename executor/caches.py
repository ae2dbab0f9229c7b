"""All that the executor holds of the state, by kind."""

from typing import Final

from executor.balances import Balances
from executor.cache import Cache
from executor.remembered import Remembered
from executor.writers import Writers
from ledger.state import Asset, Inputs, Object, Wanted

_DIGEST_BYTES: Final = 150
_VALUE_BYTES: Final = 800
"""What a remembered digest, and an asset or object take in memory with their places in dictionaries."""


class Caches:
    """Empty at first; what is wanted of each kind is learned with all the others."""

    __slots__ = ("assets", "balances", "objects", "remembered", "writers")

    def __init__(self) -> None:
        self.balances = Balances()
        self.assets: Cache[Asset] = Cache(_VALUE_BYTES)
        self.objects: Cache[Object] = Cache(_VALUE_BYTES)
        self.writers = Writers()
        self.remembered = Remembered()

    def wanted(self) -> Wanted:
        """What was asked for and is not held, each once, in order."""
        return Wanted(
            self.balances.wanted(),
            self.assets.wanted(),
            self.objects.wanted(),
            self.writers.wanted(),
            self.remembered.wanted(),
            self.remembered.wanted_buckets(),
        )

    def learn(self, inputs: Inputs) -> None:
        """All that is wanted: what is not in `inputs` does not exist."""
        self.balances.learn(inputs.balances)
        self.assets.learn(inputs.assets)
        self.objects.learn(inputs.objects)
        self.writers.learn(inputs.writers)
        self.remembered.learn(inputs.digests, inputs.buckets)

    @property
    def size_bytes(self) -> int:
        """What they take in memory, about."""
        counted = self.balances.size_bytes + _DIGEST_BYTES * len(self.remembered)
        return counted + self.assets.size_bytes + self.objects.size_bytes + self.writers.size_bytes
