"""How fast the pure execution is: transfers a second, and microseconds a transaction, with warm state.

    python -m benchmarks.execution [--smallest]

Verdicts are made by hand, so signatures, the store and the database are left out: `momus bench` measures the whole.
"""

import argparse
import gc
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.smallest import SMALLEST, run_to_its_end
from executor.execute import BlockInput, execute
from executor.state import State
from ledger import digests
from ledger.block import FinalBlock
from ledger.columns import COMMAND, ITEM, KIND_TRANSFER, Verdicts
from ledger.genesis import DEFAULT_LIMITS, Genesis
from ledger.header import Epoch, Header
from ledger.state import Asset, Inputs

ASSET = b"a" * 32
GENESIS = Genesis(b"g" * 32, "bench", 1, "t", "id", 1, 1, (), None, DEFAULT_LIMITS, 1000, 60_000)


@dataclass(frozen=True)
class Workload:
    """Blocks of `transactions`, each a transfer from one of `accounts` to `recipients` of them."""

    accounts: int
    transactions: int
    recipients: int
    rounds: int

    def verdicts(self, chance: np.random.Generator, addresses: np.ndarray) -> Verdicts:
        """One block."""
        numbers = np.arange(self.transactions)
        items = np.zeros(self.transactions, ITEM)
        items["record"] = items["offset"] = items["commands_start"] = numbers
        items["commands_stop"] = numbers + 1
        items["has_digest"] = True
        items["digest"] = np.frombuffer(chance.bytes(32 * self.transactions), "V32")
        items["signer"] = addresses[chance.integers(0, self.accounts, self.transactions)]
        items["expires_at_ms"] = 1_000_000_000
        commands = np.zeros(self.transactions, COMMAND)
        commands["kind"] = KIND_TRANSFER
        commands["asset"] = np.frombuffer(ASSET, "V32")
        commands["start"] = numbers * self.recipients
        commands["stop"] = commands["start"] + self.recipients
        count = self.transactions * self.recipients
        recipients = addresses[chance.integers(0, self.accounts, count)]
        references = (b"",) * self.transactions
        return Verdicts(items, references, commands, recipients, chance.integers(1, 10, count), ())


def run(workload: Workload) -> None:
    """Print the median of the second half of the rounds: by then every account is in the cache."""
    chance = np.random.default_rng(1)
    addresses = np.frombuffer(chance.bytes(32 * workload.accounts), "V32")
    state = State()
    seconds = [_block(state, height, workload.verdicts(chance, addresses)) for height in range(1, workload.rounds + 1)]
    reading, executing = np.median(np.array(seconds[workload.rounds // 2 :]), axis=0)
    transfers = workload.transactions * workload.recipients
    print(
        f"{workload.accounts:>7} accounts, {workload.transactions:>5} x {workload.recipients:<4}: "
        f"wanted + learn {reading * 1e3:7.2f} ms, execute {executing * 1e3:7.2f} ms = "
        f"{transfers / executing / 1e6:5.2f} M transfers/s; "
        f"all {transfers / (reading + executing) / 1e6:5.2f} M/s, "
        f"{(reading + executing) / workload.transactions * 1e6:7.2f} us/transaction"
    )


def _block(state: State, height: int, verdicts: Verdicts) -> tuple[float, float]:
    header = Header(1, Epoch(0), height, 0, bytes(32), 0, 0, height, ())
    block = BlockInput(FinalBlock(header, b"", digests.block_digest(GENESIS.digest, b""), b""), len(verdicts.items))
    start = perf_counter()
    wanted = state.wanted(verdicts)
    asked = perf_counter()
    balances = {asset: dict.fromkeys(addresses, 10**12) for asset, addresses in wanted.balances.items()}
    assets = {ASSET: Asset(ASSET, "coin", 0, ASSET, 10**18)}
    inputs = Inputs(balances, assets, {}, frozenset(), frozenset(), {})
    answered = perf_counter()
    state.learn(wanted, inputs)
    learned = perf_counter()
    effects = execute(GENESIS, state, [block], verdicts)
    executed = perf_counter()
    state.committed()
    assert len(effects.transactions) == len(verdicts.items)
    return asked - start + learned - answered, executed - learned


WORKLOADS: Final = (
    Workload(10_000, 25, 1000, 20),
    Workload(100_000, 25, 1000, 40),
    Workload(10_000, 5000, 1, 20),
    Workload(100_000, 5000, 1, 40),
    Workload(10_000, 100, 1, 200),
)


def main(argv: Sequence[str] | None = None) -> None:
    """A line for each workload, with the garbage collector and without."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--smallest", action="store_true", help=SMALLEST)
    workloads = (Workload(10, 5, 2, 2),) if parser.parse_args(argv).smallest else WORKLOADS
    for collect in (True, False):
        (gc.enable if collect else gc.disable)()
        print(f"garbage collection {'as Python sets it' if collect else 'off'}")
        for workload in workloads:
            run(workload)
    gc.enable()


if __name__ == "__main__":
    run_to_its_end(main)
