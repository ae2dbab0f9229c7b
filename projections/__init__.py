"""The SQL of the ledger's tables: prefetch answers what execution asks, flush writes what it did, in one transaction.

In: `ledger.state.Wanted` and `Effects`. Out: `Inputs`, rows in Postgres, and what became of a transaction.
"""
