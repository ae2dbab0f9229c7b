"""What validators say to each other, as values and as bytes; votes counted; what proves a block final.

In: bytes of anybody. Out: messages or rejections.
"""
