"""One module per kind of job: each turns a request into progress and one answer.

In: thin code between messages and the packages below. Out: sockets, threads. May import: versions
and below, messages.
"""
