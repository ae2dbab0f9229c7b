"""The protocol: one validator's decisions, without clock, chance, thread, socket, SQL or Kafka.

In: events. Out: what to sign, send, store and deliver, in that order.
"""
