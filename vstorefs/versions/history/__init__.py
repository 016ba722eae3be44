"""Histories as people ask for them: names, points in time, comparisons, costs, what to restore.

In: pure functions of versions. Out: stores, requests, disks. May import: `records`, `order`, and below `versions`.
"""
