"""Worker processes: the messages between them and the front, and the jobs that they do.

In: framing, a loop, one module per job. Out: trio, pyfuse3, decisions about versions. May import:
versions and below.
"""
