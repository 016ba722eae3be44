"""What is said over a mount's control socket, and the end of it that asks.

In: the protocol, a struct per request that names its answer, the client. Out: what answers (`mount/control`), output
for people. May import: ledger, versions, state and the words; cli, web, api, workers and the mount import it.
"""
