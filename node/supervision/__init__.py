"""The supervisor: starts the processes of a node, restarts what ends, and says how the node does.

In: settings. Out: processes that run, and health and metrics over HTTP.
"""
