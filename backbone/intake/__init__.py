"""From the log into the store, with every lie of a broker told apart from what was read before.

In: a log. Out: records in the store, and heads that consensus may order.
"""
