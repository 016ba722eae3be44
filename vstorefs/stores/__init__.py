"""Kinds of store behind one interface; the only place that imports an SDK.

In: calls to a store, translation of its errors. Out: mounts, caches, journals. May import: model,
errors, files, clock.
"""
