"""The values of the ledger: what crosses a process or a part, and how it is spelt in bytes.

In: bytes from outside. Out: checked, frozen values, digests, and the columns that the parts hand to each other.
Nothing here does IO.
"""
