"""A node: processes around the parts, on one machine, in one home.

In: a home with settings, keys and a genesis. Out: a running validator with its database, and commands to recover it.
"""
