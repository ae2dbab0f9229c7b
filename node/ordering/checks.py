"""What is checked before a node may order: the log is the one that it knows, and keeps what it is given."""

from backbone.log import Log, PositionLost, TopicMissing
from backbone.topics import added_partitions, check_topic, needed_topics
from ledger.committee import Committee
from ledger.errors import Halt
from ledger.genesis import Genesis
from node.settings.tree import Settings


def check_log(log: Log, genesis: Genesis, committee: Committee, settings: Settings) -> None:
    """Cluster, topics that consensus needs, and their settings. Raises: Halt, TopicMissing, LogUnavailable."""
    cluster_id = log.cluster_id()
    if settings.log.cluster_id not in ("", cluster_id):
        raise Halt(
            f"The log at the configured address is the cluster {cluster_id}, this node was made for "
            f"{settings.log.cluster_id}. Configure the right address; if the cluster was replaced on purpose and holds "
            f'the same topics, set log.cluster_id = "{cluster_id}".'
        )
    problems = setting_problems(log, genesis, committee)
    if problems:
        raise Halt(" ".join(problems))


def topic_problems(log: Log, genesis: Genesis, committee: Committee) -> list[str]:
    """What is wrong with the topics, a sentence each, also what no start is refused for.

    Raises: TopicMissing, LogUnavailable.
    """
    added = added_partitions(genesis.topic, genesis.partitions, log.ends(genesis.topic))
    return [*setting_problems(log, genesis, committee), *added]


def setting_problems(log: Log, genesis: Genesis, committee: Committee) -> list[str]:
    """What a node must not start with. Raises: TopicMissing, LogUnavailable."""
    specs = needed_topics(genesis.chain, committee.names, genesis.partitions, 1, genesis.limits.record_bytes_max)
    problems: list[str] = []
    for spec in specs:
        # Which topic id is the right one the chain decides: a recreated topic is opened as a next incarnation.
        problems += check_topic(log.describe(spec.name), spec, None)
    return problems


def lost_position(genesis: Genesis, error: PositionLost) -> str:
    """The halt message for a log that no longer holds what was to be read next."""
    return (
        f"{genesis.topic} no longer has the records that follow those in the store ({error}). Final blocks are safe in "
        "the store. Copy the store of a node that has the records, and never prune this topic."
    )


def missing_topic(error: TopicMissing) -> str:
    """The halt message for a topic that is not there."""
    return f"{error} If it was deleted, restore it; a running node never makes topics."
