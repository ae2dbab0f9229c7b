"""Answering HTTP for anybody: bounds on connections, heads, bodies and rates; problem documents.

In: an application. Out: a server that no client can hold up.
"""
