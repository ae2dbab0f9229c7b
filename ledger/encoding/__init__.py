"""Bytes and values: canonical Avro, and JSON that has one meaning.

In: bytes of anybody. Out: values, or what is wrong with the bytes. One value has one encoding.
"""
