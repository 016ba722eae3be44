"""One module per kind of job: each turns a request into progress and one answer.

In: `job(context, request, call) -> answer`, thin code between messages and the packages below, and the context that
they share. Out: sockets; which threads do them. May import: messages, `call`, ledger, versions and below.
"""
