"""Worker processes: the messages between them and the front, and the jobs that they do.

In: messages, framing, a loop, the registry of jobs and the threads that do them, one module per kind of job.
Out: trio, pyfuse3, decisions about versions. May import: ledger, versions and below.
"""
