"""`momus demo`: the main job from end to end, on real parts, with an outcome that arithmetic checks.

In: bank statements. Out: a running chain's final balances held against the file's sums, a database destroyed and
rebuilt, times and rates; on the screen for people, and as JSON for programs.
"""

from lab.demo.command import command

__all__ = ["command"]
