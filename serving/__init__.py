"""Answering HTTP for anybody: one implementation of HTTP/1.1 with bounds on connections, heads, bodies and answers;
rates and problem documents for those applications that want them.

In: an application (ASGI), a socket, limits. Out: a server that no client can hold up.
"""
