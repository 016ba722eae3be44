"""What each page shows, taken from the ledger and the mounts as plain values; one module a page.

In: questions, and values for templates. Out: HTTP, markup. May import: ledger and below.
"""
