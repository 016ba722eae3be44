"""The command line, one module per command.

In: arguments, output, exit status. Out: anything that another program face would need too. May
import: everything.
"""
