"""The LMDB `cache`: chunks and listings, disposable, shared by all mounts of a user.

In: what may be lost at any time. Out: promises, stores. May import: model, errors, files, clock.
"""
