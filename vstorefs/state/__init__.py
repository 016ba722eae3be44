"""The LMDB `state`, staging files and sessions: what must survive a crash.

In: promises and what is known of contents. Out: stores, disposable data. May import: model, errors,
files, clock.
"""
