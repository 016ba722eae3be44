"""What programs write, from the first byte to the store: drafts, changes of names and attributes, the way out.

In: drafts, commits, the journal's order, uploads, and what a change shows until it is settled or undone. Out: runs,
`.versions`, the control socket. May import: `reading`, `tree`, `backend`.
"""
