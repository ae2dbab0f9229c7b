"""The knobs that benchmarks/tuning.py turns: two settings of each, and the load that shows the difference."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lab.bench.load import Load, Maker, packed


@dataclass(frozen=True, slots=True)
class Side:
    """One setting: `environment` of the nodes, options of `momus init`, settings of Postgres, of the client, and of the
    Kafka clients; what a load is made with."""

    name: str
    environment: Mapping[str, str] = field(default_factory=dict)
    init: tuple[str, ...] = ()
    postgres: Mapping[str, str] = field(default_factory=dict)
    client: Mapping[str, Any] = field(default_factory=dict)
    kafka: Mapping[str, str] = field(default_factory=dict)
    effects: bool = False
    record_transactions: int = 100
    is_columnar: bool = False


MakeLoad = Callable[[Maker, Side], Load]


@dataclass(frozen=True, slots=True)
class Knob:
    """`load` None: `payments` one by one at a steady pace. `step`: transfers that are final before the next are sent:
    blocks are about so large; 0: all at once."""

    name: str
    first: Side
    second: Side
    load: MakeLoad | None
    step: int = 0
    payments: int = 350
    validators: int = 1
    on_kafka: bool = False


def singles(count: int, accounts: int = 0) -> MakeLoad:
    """Transfers, each signed by itself."""
    return lambda maker, side: maker.single(count, accounts=accounts)


def columnar(count: int, accounts: int) -> MakeLoad:
    """A thousand transfers under a signature."""
    return lambda maker, side: maker.batched(count, accounts)


def _either(transfers: int) -> MakeLoad:
    """So many transfers, as the side says."""

    def make(maker: Maker, side: Side) -> Load:
        if side.is_columnar:
            return maker.batched(transfers // 1_000, 10_000)
        entries = packed(maker.payments(transfers, 0, 10_000), maker._genesis.partitions, side.record_transactions)
        return Load(maker.opening(), entries, transfers, transfers)

    return make


def _setting(name: str, value: int | str) -> Side:
    section, _, key = name.partition(".")
    return Side(f"{value:,}" if isinstance(value, int) else value, {f"MOMUS_{section}__{key}".upper(): str(value)})


def _node(name: str, first: int, second: int, load: MakeLoad | None, **more: Any) -> Knob:
    return Knob(name, _setting(name, first), _setting(name, second), load, **more)


def _postgres(name: str, first: str, second: str, load: MakeLoad, **more: Any) -> Knob:
    sides = [Side(value, postgres={name: value}) for value in (first, second)]
    return Knob(name, sides[0], sides[1], load, **more)


SMALL_BLOCKS = 200
MIDDLE_BLOCKS = 2_000
_CHECKPOINTS = ("--checkpoint-ms", "1000000000", "--checkpoint-heights")

KNOBS: dict[str, Knob] = {
    "clients": Knob(
        "one transaction a record, or 100",
        Side("1", record_transactions=1),
        Side("100", record_transactions=100),
        _either(12_000),
        step=MIDDLE_BLOCKS,
    ),
    "columnar": Knob(
        "transfers under a signature",
        Side("1", record_transactions=100),
        Side("1,000", is_columnar=True),
        _either(12_000),
        step=MIDDLE_BLOCKS,
    ),
    "workers": _node("execute.workers", 1, 2, singles(12_000), step=MIDDLE_BLOCKS),
    "flush": _node("execute.flush_records_max", 5, 20_000, singles(12_000), step=SMALL_BLOCKS),
    "flush_transfers": _node("execute.flush_transfers_max", 2_000, 200_000, columnar(200, 10_000), step=20_000),
    "state": _node("execute.state_bytes_max", 4 << 20, 512 << 20, singles(12_000, 10_000), step=MIDDLE_BLOCKS),
    "partition_heights": _node("projections.partition_heights", 20, 100_000, singles(12_000), step=SMALL_BLOCKS),
    "checkpoints": Knob(
        "checkpoint.heights (genesis)",
        Side("5", init=(*_CHECKPOINTS, "5")),
        Side("100,000", init=(*_CHECKPOINTS, "100000")),
        singles(12_000, 10_000),
        step=SMALL_BLOCKS,
    ),
    "partitions": Knob(
        "partitions (genesis)",
        Side("1", init=("--partitions", "1")),
        Side("8", init=("--partitions", "8")),
        singles(12_000),
        step=MIDDLE_BLOCKS,
    ),
    "idle_ms": _node("order.idle_ms", 500, 50, None, validators=2),
    "snapshots": Knob(
        "snapshots.every_ms",
        Side("none", {"MOMUS_SNAPSHOTS__EVERY_MS": "0"}, (*_CHECKPOINTS, "20")),
        Side("every checkpoint", {"MOMUS_SNAPSHOTS__EVERY_MS": "1"}, (*_CHECKPOINTS, "20")),
        singles(12_000, 10_000),
        step=SMALL_BLOCKS,
    ),
    "effects": Knob(
        "effects.enabled",
        Side("false"),
        Side("true", {"MOMUS_EFFECTS__ENABLED": "true"}, effects=True),
        singles(12_000),
        step=SMALL_BLOCKS,
    ),
    "wal_compression": _postgres("wal_compression", "pglz", "off", columnar(200, 100_000), step=20_000),
    "max_wal_size": _postgres("max_wal_size", "64MB", "2GB", columnar(400, 100_000), step=20_000),
    "client_linger": Knob(
        "linger_ms of momus.Client",
        Side("0", client={"linger_ms": 0, "batch_max": 1}),
        Side("20", client={"linger_ms": 20}),
        None,
    ),
    "kafka_linger": Knob(
        "linger.ms",
        Side("0", kafka={"linger.ms": "0"}),
        Side("20", kafka={"linger.ms": "20"}),
        None,
        on_kafka=True,
    ),
    "kafka_fetch_wait": Knob(
        "fetch.wait.max.ms",
        Side("5", kafka={"fetch.wait.max.ms": "5"}),
        Side("500", kafka={"fetch.wait.max.ms": "500"}),
        None,
        on_kafka=True,
    ),
}
