"""How versions lie in a bucket: the native and the portable layout, and what both share.

In: what reads or writes a bucket to keep versions. Out: what is only said of histories (`history`), how records are
named and ordered (`records`, `order`). May import: `history`, `records`, `order`, `metadata`.
"""
