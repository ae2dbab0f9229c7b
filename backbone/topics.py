"""The topics of a chain: how they are made, and whether a log keeps them as they must be kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from backbone.log import TopicInfo, TopicSpec
from backbone.store.values import VALUE_BYTES_MAX

MESSAGE_BYTES_MAX: Final = 2_000_000
CONSENSUS_RETENTION_MS: Final = 7 * 86_400_000
REGISTRY_MESSAGE_BYTES_MAX: Final = 65_536
REGISTRY_SEGMENT_MS: Final = 3_600_000
"""Kafka compacts what is not the newest segment, so a new one begins now and then."""
SAFE_REPLICAS: Final = 3
"""From so many replicas on, two of them acknowledge a record; with fewer, that would stop writing at one failure."""
UNLIMITED: Final = -1


def chain_topics(
    chain: str, validators: Sequence[str], partitions: int, replicas: int, record_bytes_max: int = 1_000_000
) -> list[TopicSpec]:
    """All topics of a new chain: those that consensus needs, then the registry."""
    return [*needed_topics(chain, validators, partitions, replicas, record_bytes_max), registry_topic(chain, replicas)]


def needed_topics(
    chain: str, validators: Sequence[str], partitions: int, replicas: int, record_bytes_max: int = 1_000_000
) -> list[TopicSpec]:
    """What consensus needs, `transactions` first; nothing is ever deleted from it, `blocks` and `checkpoints`.

    A record over `record_bytes_max` is rejected by all validators, so some room for it to arrive is left above;
    but none for what no store takes.
    """
    kept = _settings(replicas, UNLIMITED, max(MESSAGE_BYTES_MAX, min(2 * record_bytes_max, VALUE_BYTES_MAX)))
    passing = _settings(replicas, CONSENSUS_RETENTION_MS, MESSAGE_BYTES_MAX)
    return [
        TopicSpec(f"momus.{chain}.transactions", partitions, kept, replicas),
        TopicSpec(f"momus.{chain}.blocks", 1, kept, replicas),
        TopicSpec(f"momus.{chain}.checkpoints", 1, kept, replicas),
        *(TopicSpec(f"momus.{chain}.consensus.{name}", 1, passing, replicas) for name in validators),
    ]


def registry_topic(chain: str, replicas: int) -> TopicSpec:
    """Where nodes say where they are: of each key the newest record is enough, and that for a while."""
    passing = _settings(replicas, CONSENSUS_RETENTION_MS, REGISTRY_MESSAGE_BYTES_MAX)
    compacted = {
        "cleanup.policy": "compact,delete",
        "segment.ms": str(REGISTRY_SEGMENT_MS),
        "min.cleanable.dirty.ratio": "0.1",
    }
    return TopicSpec(f"momus.{chain}.registry", 1, passing | compacted, replicas)


def effects_topic(name: str, replicas: int, retention_ms: int) -> TopicSpec:
    """Where one node says what became of each transaction; 0 ms: for ever."""
    return TopicSpec(name, 1, _settings(replicas, retention_ms or UNLIMITED, MESSAGE_BYTES_MAX), replicas)


def _settings(replicas: int, retention_ms: int, message_bytes_max: int) -> dict[str, str]:
    return {
        "cleanup.policy": "delete",
        "retention.ms": str(retention_ms),
        "retention.bytes": str(UNLIMITED),
        "unclean.leader.election.enable": "false",
        "min.insync.replicas": "2" if replicas >= SAFE_REPLICAS else "1",
        "max.message.bytes": str(message_bytes_max),
        # The broker holds batches to their size as they are stored: packed, a megabyte could be gigabytes.
        "compression.type": "uncompressed",
    }


def check_topic(info: TopicInfo, spec: TopicSpec, expected_id: str | None = None) -> list[str]:
    """What is wrong with a topic, a sentence each that names the remedy; empty where all is well.

    A setting that the log does not show is one that it does not have (the embedded log deletes nothing).
    """
    problems = []
    if expected_id is not None and info.topic_id != expected_id:
        problems.append(
            f"The topic {info.name} is not the one of genesis: its id is {info.topic_id}, not {expected_id}. It was "
            "recreated, or this is another cluster: restore the topic, or give the address of the right cluster."
        )
    if info.partitions < spec.partitions:
        problems.append(
            f"The topic {info.name} has {info.partitions} partitions, not {spec.partitions}: restore the topic, or "
            "name the right one."
        )
    for rule in _RULES:
        given, wanted = info.settings.get(rule.setting), _wanted(info, spec, rule.setting)
        if given is not None and wanted is not None and not rule.is_kept(given, wanted):
            problems.append(_sentence(info.name, rule, given, wanted))
    return problems


def added_partitions(topic: str, partitions: int, ends: Mapping[int, int]) -> list[str]:
    """What is wrong where a topic has more partitions than the chain (`partitions`), by the ends of all of them.

    No reason to refuse anything: the ledger is what the partitions of genesis hold, and they are as they were.
    """
    added = {partition: end for partition, end in ends.items() if partition >= partitions}
    if not added:
        return []
    sentence = (
        f"The topic {topic} has {len(ends)} partitions, not {partitions}: what lies in the others, "
        f"{sum(added.values()):,} records so far, is no part of the ledger. Whoever produces must choose among the "
        f'first {partitions}; see "Partitions that were added" in docs/recovery.md.'
    )
    return [sentence]


def _wanted(info: TopicInfo, spec: TopicSpec, setting: str) -> str | None:
    """The value to set; what replication the topic really has decides how many must acknowledge."""
    if setting == "min.insync.replicas":
        return "2" if info.replicas >= SAFE_REPLICAS else "1"
    return spec.settings.get(setting)


@dataclass(frozen=True, slots=True)
class _Rule:
    setting: str
    is_kept: Callable[[str, str], bool]
    """From the given and the wanted value."""
    danger: str
    """Of a setting that is not kept; of `cleanup.policy` where nothing is to be compacted."""


def _is_equal(given: str, wanted: str) -> bool:
    return given.strip().lower() == wanted


def _lasts(given: str, wanted: str) -> bool:
    return int(given) == UNLIMITED or (int(wanted) != UNLIMITED and int(given) >= int(wanted))


def _at_least(given: str, wanted: str) -> bool:
    return int(given) >= int(wanted)


def _can_be_stored(given: str, _wanted: str) -> bool:
    return int(given) <= VALUE_BYTES_MAX


_RULES: Final = (
    _Rule("cleanup.policy", _is_equal, "compaction deletes records that share a key"),
    _Rule("retention.ms", _lasts, "records would be deleted by age"),
    _Rule("retention.bytes", _lasts, "records would be deleted by size"),
    _Rule("unclean.leader.election.enable", _is_equal, "a broker that lags could become leader and lose records"),
    _Rule("min.insync.replicas", _at_least, "a record could be acknowledged that a single broker holds"),
    _Rule("max.message.bytes", _at_least, "the broker would refuse records that the chain allows"),
    _Rule("max.message.bytes", _can_be_stored, "anybody could send a record that no node can store"),
    _Rule("compression.type", _is_equal, "a small batch could unpack to gigabytes in every node"),
)


def _sentence(topic: str, rule: _Rule, given: str, wanted: str) -> str:
    danger = "records that were superseded would pile up" if wanted.startswith("compact") else rule.danger
    value = f"[{wanted}]" if "," in wanted else wanted
    return (
        f"The topic {topic} has {rule.setting}={given}, so {danger}. Set it with: kafka-configs.sh --alter "
        f"--bootstrap-server ADDRESS --entity-type topics --entity-name {topic} --add-config {rule.setting}={value}"
    )
