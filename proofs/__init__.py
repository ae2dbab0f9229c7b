"""Proofs that a row of the state was there, or was not, as of a certified checkpoint (docs/proofs.md).

`proof_file` is the file, `verifying` checks it with genesis alone and knows no SQL and no log; `making` writes it from
one node's database.
"""
