"""What a node tells of itself in numbers: declared once (`catalogue`), counted in plain numbers by each process
(`values`), written by it to a small file once a second (`writing`), and given to Prometheus as one page (`page`,
`server`). Nothing that decides knows of any of this; decision 0015 says why it is built so.
"""
