"""The settings of the effects topic, a branch of the tree."""

from node.settings.declare import Part, whole, words


class EffectsSettings(Part):
    """What became of each transaction, as records of a topic of this node's own (docs/effects.md)."""

    enabled: bool = words(False, "Whether they are written; `momus effects create` makes the topic.")
    batch_records: int = whole(1_000, 1, 10_000, "records", "Written at once, whole or not at all.")
    retry_ms: int = whole(5_000, 100, 600_000, "ms", "After a failure it is tried again so much later.")
