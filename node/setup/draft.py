"""A genesis that organisations write together: a genesis.json whose topic id says that it is not sealed yet.

Each adds its entry and hands the file on; what is in it can be read and edited by anybody (limits, issuers). Nothing in
a draft binds: what binds is the digest of the sealed file, which all compare.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from backbone.log import Log
from backbone.topics import chain_topics
from ledger.genesis import Genesis, GenesisError, Validator, parse_genesis, render_genesis

UNSEALED: Final = "unsealed"
"""The topic id in a draft."""


def new_draft(chain: str, partitions: int, validator: Validator) -> bytes:
    """A draft with its first entry. Raises: GenesisError."""
    return render_genesis(chain=chain, topic_id=UNSEALED, validators=[validator], partitions=partitions)


def with_validator(draft: bytes, validator: Validator) -> bytes:
    """The draft with one more entry, the last. Raises: GenesisError (also where name or key is taken)."""
    genesis = _unsealed(draft)
    return _render(genesis, UNSEALED, (*genesis.validators, validator))


@contextmanager
def sealed(draft: bytes, log: Log, replicas: int) -> Iterator[bytes]:
    """Make the chain's topics and write their identity into genesis. Where that is not kept, the topics go again.

    Raises: GenesisError, TopicExists (nothing is overwritten), LogUnavailable.
    """
    genesis = _unsealed(draft)
    names = [validator.name for validator in genesis.validators]
    specs = chain_topics(genesis.chain, names, genesis.partitions, replicas, genesis.limits.record_bytes_max)
    if genesis.topic != specs[0].name:
        raise GenesisError(f"transactions_topic.name of the chain {genesis.chain} is {specs[0].name}.")
    log.create(specs)
    try:
        yield _render(genesis, log.describe(genesis.topic).topic_id, genesis.validators)
    except BaseException:
        log.delete([spec.name for spec in specs])
        raise


def _unsealed(draft: bytes) -> Genesis:
    genesis = parse_genesis(draft)
    if genesis.topic_id != UNSEALED:
        raise GenesisError("This genesis is sealed: its topics exist, and it is never changed again.")
    return genesis


def _render(genesis: Genesis, topic_id: str, validators: Sequence[Validator]) -> bytes:
    return render_genesis(
        chain=genesis.chain,
        topic_id=topic_id,
        validators=validators,
        topic=genesis.topic,
        partitions=genesis.partitions,
        shards=genesis.shards,
        asset_issuers=genesis.asset_issuers,
        limits=genesis.limits,
        checkpoint_heights=genesis.checkpoint_heights,
        checkpoint_time_ms=genesis.checkpoint_time_ms,
    )
