"""The web page: runs, files' histories, what is mounted, for one person on this machine.

In: pages, templates, their style. Out: decisions about runs or versions. May import: ledger and below.
"""
