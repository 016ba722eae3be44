"""The control socket: how the command line, the web page and Python ask a mount, and what it answers.

In: the server, and a module per kind of question. Out: upcalls, and what decides for programs on the mount. May
import: every wing but the upcalls.
"""
