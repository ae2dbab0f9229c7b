"""What one validator's database would hold, as dicts: answers the executor, applies its effects."""

from typing import Any

from ledger.state import Asset, Effects, Inputs, Object, Wanted


class Tables:
    """State and history. Two that have executed the same blocks are equal."""

    def __init__(self) -> None:
        self.balances: dict[tuple[bytes, bytes], int] = {}
        self.assets: dict[bytes, Asset] = {}
        self.objects: dict[bytes, Object] = {}
        self.writers: set[bytes] = set()
        self.remembered: dict[bytes, tuple[int, int]] = {}
        self.buckets: dict[int, tuple[int, bytes]] = {}
        self.history: list[Any] = []

    def answer(self, wanted: Wanted) -> Inputs:
        """Only what exists."""
        return Inputs(
            {
                asset: {who: self.balances[asset, who] for who in addresses if (asset, who) in self.balances}
                for asset, addresses in wanted.balances.items()
            },
            {key: self.assets[key] for key in wanted.assets if key in self.assets},
            {key: self.objects[key] for key in wanted.objects if key in self.objects},
            frozenset(pair for pair in wanted.writers if pair in self.writers),
            frozenset(digest for _, digest in wanted.digests if digest in self.remembered),
            {bucket: self.buckets[bucket] for bucket in wanted.buckets if bucket in self.buckets},
        )

    def apply(self, effects: Effects) -> None:
        """As a flush does."""
        for changed in (effects.balances_inserted, effects.balances_updated):
            self.balances |= {(asset, who): amount for asset, who, amount in changed.tolist()}
        for asset, who, _ in effects.balances_deleted.tolist():
            del self.balances[asset, who]
        self.assets |= {asset.id: asset for asset in (*effects.assets_inserted, *effects.assets_updated)}
        self.objects |= {value.id: value for value in (*effects.objects_inserted, *effects.objects_updated)}
        for key in effects.objects_deleted:
            del self.objects[key]
        for key, packed in effects.object_writers:
            self.writers |= {key + packed[at : at + 32] for at in range(0, len(packed), 32)}
        self._remember(effects)
        self.history += [*effects.blocks, *effects.transactions, *effects.rejections, *effects.object_versions]
        self.history += [*effects.object_contents, *effects.object_types, *effects.transfers.tolist()]

    def facts(self) -> dict[str, Any]:
        """Everything, by table; history in an order that does not depend on how blocks were grouped."""
        tables: dict[str, Any] = {name: value for name, value in vars(self).items() if name != "history"}
        return {**tables, "history": sorted(map(repr, self.history))}

    def _remember(self, effects: Effects) -> None:
        below = effects.buckets_expired_below
        self.remembered |= {digest: (bucket, height) for bucket, digest, height, _ in effects.remembered}
        self.remembered = {digest: row for digest, row in self.remembered.items() if row[0] >= below}
        self.buckets = {bucket: row for bucket, row in {**self.buckets, **effects.buckets}.items() if bucket >= below}
