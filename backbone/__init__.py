"""The log as a port with its adapters (Apache Kafka, embedded, simulated), and the store: what a node has read of it.

In: names of topics, bytes. Out: records in offset order, and final headers with their proofs. It knows no meaning.
"""
