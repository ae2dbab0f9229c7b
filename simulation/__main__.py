"""`python -m simulation --seed N` replays one world; `--seeds A..B` runs many."""

import argparse
import sys
from time import perf_counter

from simulation.checkers import Violation
from simulation.runs import adversaries_of, run_seed


def main(arguments: list[str] | None = None) -> int:
    """Exit code 1 where a world was violated; the command that replays it is printed."""
    parser = argparse.ArgumentParser(prog="python -m simulation", description=__doc__)
    parser.add_argument("--seed", type=int, help="replay this world")
    parser.add_argument("--seeds", help="A..B: run the worlds A to B - 1")
    parser.add_argument("--trace", action="store_true", help="one line per validator and event")
    options = parser.parse_args(arguments)
    first, last = (options.seed, options.seed + 1) if options.seed is not None else _range(options.seeds or "0..100")
    started = perf_counter()
    failed = 0
    for seed in range(first, last):
        try:
            run_seed(seed, print if options.trace else None)
        except Violation as violation:
            failed += 1
            names = ", ".join(adversary.__name__ for adversary in adversaries_of(seed)) or "none"
            print(
                f"seed {seed}: {violation} (adversaries: {names})\n  replay: python -m simulation --seed {seed} --trace"
            )
    print(f"{last - first} worlds, {failed} violated, {perf_counter() - started:.1f} s")
    return 1 if failed else 0


def _range(text: str) -> tuple[int, int]:
    first, _, last = text.partition("..")
    return int(first), int(last)


if __name__ == "__main__":
    sys.exit(main())
