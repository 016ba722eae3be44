"""Who used what: runs, the processes in them, and the versions that they opened.

In: the run of a process, what it read and made. Out: comparing and storing records (`ledger`, by a worker). May import:
`tree`, `backend`.
"""
