"""Whether a database is what its checkpoints say: every row, every node of the tree, every link.

In: a database. Out: findings.
"""
