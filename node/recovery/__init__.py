"""Recovery: rebuilding a database from store or snapshot, replaying, auditing, and drilling all of it.

In: a home whose database is lost, doubted or wanted as of another height. Out: a database that equals the chain, or
findings.
"""
