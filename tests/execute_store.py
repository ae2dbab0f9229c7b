"""`python -m tests.execute_store '<json>'`: execute a store into a database, as a process of its own, so that a test
can choose its hash seed and locale. The JSON: genesis (hex), store, url, height, workers, flush_records_max."""

import json
import sys
from contextlib import closing
from pathlib import Path

from ingest.pool import VerdictPool
from ledger.genesis import parse_genesis
from node.execution.pipeline import PipelineLimits
from node.execution.session import LogIdentity, Session
from projections.maintenance.migrate import migrate


def main(text: str) -> None:
    """Migrate the database and execute up to the height."""
    given = json.loads(text)
    genesis = parse_genesis(bytes.fromhex(given["genesis"]))
    limits = PipelineLimits(
        job_records_max=max(1, given["flush_records_max"] // 2), flush_records_max=given["flush_records_max"]
    )
    migrate(given["url"])
    session = Session(genesis, LogIdentity("cluster", "topic-id"), Path(given["store"]), given["url"], limits)
    with closing(VerdictPool(given["workers"], genesis.digest, genesis.limits)) as pool:
        session.run(pool, lambda cursor, checkpoints: None, lambda: False, given["height"])


if __name__ == "__main__":
    main(sys.argv[1])
