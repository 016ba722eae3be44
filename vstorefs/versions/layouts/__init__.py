"""How versions lie in a bucket: the native and the portable layout, each a Store made of parts.

In: what reads or writes a bucket to keep versions. Out: what is only said of histories (`history`), how records are
named and ordered (`records`, `order`). May import: `history`, `records`, `order`, `metadata`.

`opening` chooses a layout, `native` and `portable` are the two, `migrate` leads from one to the other. Parts that
both have: `recordstore`, `recorded` (records as versions), `plainkeys` (all that differs where things are shown),
`lookup` (one path), `entries`, `listing`, `attributes`, `buckethistory`, `purge`, `format`, `gone`. Parts of one:
`nativehistory`; `portablehistory`, `contents`, `firstversions`, `laterversions`, `probe`.
"""
