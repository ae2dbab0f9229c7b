"""The one transaction that moves the database on: history, state, tree, checkpoints, cursor.

In: effects of a group of blocks. Out: a committed height.
"""
