"""The execute process: makes of final blocks the state in Postgres, with checkpoints and snapshots.

In: final blocks and records of the store. Out: committed rows, and checkpoints to be signed.
"""
