"""Servers that a node brings along: Postgres and, for trials, a Kafka broker.

In: a folder of the home. Out: a running server, and the address that leads to it.
"""
