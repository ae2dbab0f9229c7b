"""`python -m tests.execute_memory '<json>'`: execute a store's next blocks as the execute process does, with a cold
cache, and tell as JSON the memory in KiB that it had before it began, the most that it had, and the most that a worker
had. The JSON that is given: genesis (hex), store, url, height, workers."""

import json
import sys
from contextlib import closing
from pathlib import Path

from ingest.pool import VerdictPool
from ledger.genesis import parse_genesis
from node.execution.process import limits_of
from node.execution.session import LogIdentity, Session
from node.settings.tree import ExecuteSettings


def kib(pid: int | str, name: str) -> int:
    """A figure of /proc/PID/status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name + ":"))


def main(text: str) -> None:
    """Execute up to the height."""
    given = json.loads(text)
    genesis = parse_genesis(bytes.fromhex(given["genesis"]))
    limits = limits_of(ExecuteSettings())
    session = Session(genesis, LogIdentity("cluster", genesis.topic_id), Path(given["store"]), given["url"], limits)
    idle: list[int] = []
    with closing(VerdictPool(given["workers"], genesis.digest, genesis.limits)) as pool:
        session.run(pool, lambda *_: idle.append(kib("self", "VmRSS")), lambda: False, given["height"])
        workers = max(kib(pid, "VmHWM") for pid in pool.pids())
    print(json.dumps({"idle": idle[0], "peak": kib("self", "VmHWM"), "worker": workers}))


if __name__ == "__main__":
    main(sys.argv[1])
