"""How the API reads: one view of the database for each answer, pages, streams, proofs.

In: a connection. Out: rows as they travel.
"""
