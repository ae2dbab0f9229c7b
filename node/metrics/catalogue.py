"""All metrics of a node. docs/metrics.md is made from this; a test holds a running node against it."""

from typing import Final

from node.metrics.metric import Declared, Metric

LABELS: Final = {
    "process": "Which process of the node says it; on every sample.",
    "validator": "A validator's name in genesis; 128 at most.",
    "leader": "The same, of who led a view.",
    "partition": "Number of a partition of the transactions topic; 1,024 at most.",
    "topic": "What follows `momus.<chain>.` in a topic's name.",
    "reason": "Why: a word of a fixed list (rejections: docs/formats.md; a node: docs/monitoring.md).",
    "kind": "Which of a fixed list.",
    "result": "`executed` or `rejected`.",
    "stage": "`read`, `verdicts`, `prefetch`, `execute`, `flush_wait`, `flush`.",
    "table": "A table of schema `ledger`.",
    "state": "Which state, of a fixed list.",
    "outcome": "How a request ended, of a fixed list.",
    "path": "A path of the API's document below /v1, placeholders and all; `other` for whatever is none.",
    "status": "Status code of HTTP.",
    "chain": "The chain's name.",
}
"""Every label, and what bounds its values."""

_node = Declared("supervisor", "momus_")
_consensus = Declared("order", "momus_consensus_")
_log = Declared("order", "momus_log_")
_store = Declared("order", "momus_")
_execution = Declared("execute", "momus_execution_")
_state = Declared("execute", "momus_")
_peers = Declared("peers", "momus_peers_")
_discovery = Declared("order", "momus_discovery_")
_effects = Declared("effects", "momus_effects_")
_api = Declared("api", "momus_api_")
_any = Declared("every", "process_")

NODE: Final = (
    _node.gauge("info", "", "1; its labels say whose numbers these are.", "chain", "validator"),
    _node.gauge("process_up", "", "1 where this process of the node runs, 0 where it does not.", "process"),
    _node.counter("process_starts", "starts", "How often the supervisor has started this process.", "process"),
    _node.gauge("ready", "", "1 where the node is well, as /readyz says; 0 where it is not."),
    _node.gauge(
        "unhealthy", "", "1 where this is wrong with the node, in one word; /readyz has the sentence.", "reason"
    ),
    _node.gauge("final_block_age_seconds", "seconds", "Since the time that the last final block bears."),
    _node.gauge("metrics_age_seconds", "seconds", "Since this process wrote its numbers last.", "process"),
)

CONSENSUS: Final = (
    _consensus.gauge("view", "views", "The view that this validator is in."),
    _consensus.gauge("final_view", "views", "The view of the highest finalization that is known."),
    _consensus.gauge("height_blocks", "blocks", "Height of the last final block in the store."),
    _consensus.gauge("power", "", "Voting power in genesis.", "validator"),
    _consensus.counter("blocks", "blocks", "Final blocks, by who proposed them.", "leader"),
    _consensus.counter("nullified_views", "views", "Views between final blocks that made none.", "leader"),
    _consensus.counter(
        "missed_votes", "views", "Views that are over, in which this validator did not vote at all.", "validator"
    ),
    _consensus.gauge(
        "behind_views", "views", "From the last view in which this validator was heard to our view.", "validator"
    ),
    _consensus.seconds(
        "finality", "From the time that a block bears, by its proposer's clock, until it is final in our store."
    ),
    _consensus.gauge(
        "time_ahead_seconds", "seconds", "How far the last final block's time is ahead of this machine's clock."
    ),
    _consensus.gauge(
        "clock_doubted_seconds", "seconds", "How far the clock was set ahead (below zero: back) without being followed."
    ),
    _consensus.counter("signed", "statements", "What this validator has signed.", "kind"),
    _consensus.counter("refused_messages", "messages", "Messages that were not taken in, by why.", "reason"),
    _consensus.counter("events", "events", "Rare things that an operator may ask about.", "kind"),
    _consensus.gauge("waiting_records", "records", "In the store, and not in a final block."),
    _consensus.gauge("queued_items", "items", "Read, and not taken by the loop yet: records, advances of the store."),
    _consensus.gauge("queued_bytes", "bytes", "What these take in memory; a megabyte for each topic at most."),
    _consensus.gauge("outbox_records", "records", "On their way to the log, not acknowledged."),
    _consensus.counter("outbox_failures", "records", "Records that the log did not take at first.", "kind"),
    _consensus.gauge("journal_bytes", "bytes", "Size of the journal."),
)

LOG: Final = (
    _log.gauge("end_offset", "records", "End of the partition in the log; asked every few seconds.", "partition"),
    _log.gauge("read_offset", "records", "End of what the store holds of the partition.", "partition"),
    _log.gauge("final_offset", "records", "End of what is final of the partition.", "partition"),
    _log.gauge(
        "lag_records", "records", "In the log, and not in the store: `end_offset` less `read_offset`.", "partition"
    ),
    _log.gauge("suffix_records", "records", "In the store, and not final.", "partition"),
    _log.gauge("suffix_bytes", "bytes", "The same in bytes.", "partition"),
    _log.counter("read_records", "records", "Records read into the store.", "partition"),
    _log.counter("read_bytes", "bytes", "The same in bytes.", "partition"),
    _log.gauge("partitions", "partitions", "Partitions that are full, suspect or barred from reading.", "state"),
    _log.counter("errors", "errors", "How often reading a topic failed and was tried again.", "topic"),
)

STORE: Final = (
    _store.gauge("store_bytes", "bytes", "Size of the store's files."),
    _store.gauge("disk_free_bytes", "bytes", "Free for this node on the fullest disk of its home."),
    _store.gauge("execution_lag_records", "records", "Final, and not in the database."),
    _store.gauge("certified_height_blocks", "blocks", "Height of the newest certified checkpoint that order knows."),
)

EXECUTION: Final = (
    _execution.gauge("height_blocks", "blocks", "Height that is committed in the database."),
    _execution.gauge("block_time_seconds", "seconds", "Time of that block, since the Unix epoch."),
    _execution.counter("blocks", "blocks", "Blocks executed."),
    _execution.counter("records", "records", "Records executed."),
    _execution.counter(
        "transactions", "transactions", "Transactions by result; the reason of a rejection, `none` for the others.",
        "result", "reason",
    ),
    _execution.counter("transfers", "transfers", "Transfers carried out."),
    _execution.records("batch", "Records that one database transaction holds."),
    _execution.seconds("stage", "Time of one pass through a stage of the pipeline.", "stage"),
    _execution.gauge("ahead_records", "records", "Read, and not executed."),
    _execution.gauge("cache_bytes", "bytes", "Memory of balances, objects, assets and digests that are held, about."),
    _execution.counter("balance_lookups", "look-ups", "Balances that execution has looked for."),
    _execution.counter("cache_misses", "entries", "What had to be asked of the database.", "kind"),
    _execution.gauge("pool_workers", "processes", "Processes that verify signatures, running now."),
    _execution.gauge("pool_waiting_chunks", "chunks", "Waiting for one of them."),
    _execution.counter("pool_deaths", "deaths", "How often one of them died."),
)  # fmt: skip

STATE: Final = (
    _state.counter("flush_rows", "rows", "Rows written, by table.", "table"),
    _state.counter("database_failures", "failures", "How often the database was not available."),
    _state.gauge("database_connections", "connections", "Connections to the node's database.", "state"),
    _state.gauge("database_bytes", "bytes", "Size of the node's database."),
    _state.gauge("checkpoint_height_blocks", "blocks", "Height of the newest checkpoint of our own state."),
    _state.gauge("checkpoint_time_seconds", "seconds", "Its block's time, since the Unix epoch."),
    _state.gauge("checkpoint_certified_height_blocks", "blocks", "Height of the newest certificate in the database."),
    _state.gauge("snapshots", "snapshots", "Snapshots that are kept."),
    _state.gauge("snapshot_height_blocks", "blocks", "Height of the newest; 0 without one."),
    _state.gauge("pruning_history_floor_blocks", "blocks", "History is there above this height."),
    _state.counter("pruning_removed_partitions", "partitions", "Partitions of history tables that were dropped."),
    _state.counter("pruning_removed_store_bytes", "bytes", "Bytes of the store that were removed."),
    _state.counter("tree_removed_pieces", "pieces", "Nodes and leaves of the state tree that were removed."),
    _state.counter("tree_written_pieces", "pieces", "Nodes and leaves written: what pruning must keep up with."),
    _state.gauge("tree_stale_pieces", "pieces", "Superseded and not removed yet, as Postgres estimates."),
)

PEERS: Final = (
    _peers.counter("requests", "requests", "Requests of other validators for records, by how they ended.", "outcome"),
)

DISCOVERY: Final = (
    _discovery.gauge("peers", "validators", "Validators, our own too, by what is known of their nodes.", "state"),
    _discovery.gauge("fresh", "", "1 where this validator's node was heard of in time, 0 where not.", "validator"),
    _discovery.counter("announced_records", "records", "Records of our own node that the log has acknowledged."),
    _discovery.counter("refused_records", "records", "Records that were not believed, by why.", "reason"),
    _discovery.counter("skipped_records", "records", "Records that were left out, since too many came."),
    _discovery.counter("failures", "failures", "How often the registry topic did not answer or take our record."),
    _discovery.counter(
        "foreign_records", "records", "Records that bear our validator's signature and that this process did not send."
    ),
)

EFFECTS: Final = (
    _effects.counter("records", "records", "Records written to the effects topic."),
    _effects.gauge("height_blocks", "blocks", "The block up to which they are written."),
    _effects.gauge("lag_blocks", "blocks", "How far the database was ahead when it was last looked at."),
    _effects.counter("failures", "failures", "How often writing had to wait: the log, the database or the topic."),
)

API: Final = (
    _api.counter("requests", "requests", "Requests that were answered, and those that were refused.", "path", "status"),
    _api.seconds("answer", "From a whole head to the start of the answer, waiting that was asked for too; no streams."),
    _api.counter("submitted_transactions", "transactions", "Transactions handed to the log."),
    _api.gauge("streams", "streams", "Streams of events that are open."),
)

PROCESS: Final = (
    _any.counter("cpu_seconds", "seconds", "User and system time."),
    _any.gauge("resident_memory_bytes", "bytes", "Resident memory."),
    _any.gauge("virtual_memory_bytes", "bytes", "Virtual memory."),
    _any.gauge("start_time_seconds", "seconds", "When the process started, since the Unix epoch."),
    _any.gauge("open_fds", "files", "Open file descriptors."),
    _any.gauge("max_fds", "files", "How many there may be."),
)
"""prometheus-client measures these, under the names that all its users know."""

GROUPS: Final = {
    "The node": NODE,
    "Consensus": CONSENSUS,
    "The log": LOG,
    "Store and disk": STORE,
    "Execution": EXECUTION,
    "Database, checkpoints, pruning": STATE,
    "Records for other validators": PEERS,
    "Discovery": DISCOVERY,
    "The effects topic": EFFECTS,
    "The HTTP API": API,
    "Every process": PROCESS,
}
METRICS: Final[tuple[Metric, ...]] = tuple(metric for group in GROUPS.values() for metric in group)
