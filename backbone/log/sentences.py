"""What the adapters of the log say, in the same words, of errors of a caller, or where something is gone."""


def missing(topic: str) -> str:
    """The topic does not exist."""
    return f"The topic {topic} does not exist. `momus init` creates the topics of a chain."


def exists(topic: str) -> str:
    """The topic is there already."""
    return f"The topic {topic} exists already; it is not overwritten."


def recreated(topic: str) -> str:
    """A reader's topic was deleted and made again under its name."""
    return f"The topic {topic} was recreated: what was read of it is gone from the log."


def lost(topic: str, partition: int, position: int, holds: str) -> str:
    """A position is outside of the log; `holds` says what the log holds."""
    return (
        f"Offset {position} of {topic}, partition {partition}, is not in the log any more, which {holds}: "
        "it was truncated or pruned."
    )


def no_partition(topic: str, partition: int) -> str:
    """The topic has fewer partitions."""
    return f"The topic {topic} has no partition {partition}."


def oversize(topic: str, size_bytes: int, size_bytes_max: int) -> str:
    """A value that the topic does not take."""
    return f"A value of {size_bytes} bytes is over the {size_bytes_max} that the topic {topic} takes."


FULL = "The producer's queue is full: call poll and send again."
