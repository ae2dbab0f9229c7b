"""The node over HTTP: transactions in, what the ledger holds out, and a stream of what becomes final.

In: requests from anybody. Out: JSON whose every answer is of one height of the database (header `Momus-Height`),
problem documents (RFC 9457) with stable codes, server-sent events that go on where they were cut off.
"""
