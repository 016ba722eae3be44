"""A kind of store in memory, within one process: `memory://NAME/PREFIX`, known only while a test says so.

In: a server that keeps buckets, the bucket interface on it, the border of errors. Whoever holds the
server decides about each request to it: a request may be dropped, come late, or lose its reply.
"""
