"""`momus bench`: what the whole path does on this machine, beside what the machine can do at most.

In: nothing but a machine. Out: ceilings, rates from the log to committed rows, times to finality, replay rates, each
with its ratio to its mark; as a table for people and as JSON.
"""

from lab.bench.command import command

__all__ = ["command"]
