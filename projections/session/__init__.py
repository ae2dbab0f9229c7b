"""Sessions with Postgres: how they are made, what they are set to, and rows as bytes.

In: a URL. Out: connections that neither environment nor server can bend, and errors told apart by what to do next.
"""
