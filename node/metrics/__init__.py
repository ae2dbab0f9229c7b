"""Metrics: declared once (`catalogue`), counted in plain numbers by each process (`values`), written by it to a small
file once a second (`writing`), and put together for Prometheus as one page (`page`), which the supervisor serves.

In: numbers of processes. Out: text in Prometheus' format. Nothing that decides knows of any of this (decision 0015).
"""
