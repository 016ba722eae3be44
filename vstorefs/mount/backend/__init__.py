"""The workers as the front sees them, and whether a store answers.

In: asking, replacing and choosing workers; what is known of a store's health. Out: names, contents,
what a request is for. May import: nothing else of `mount`; the packages below.
"""
