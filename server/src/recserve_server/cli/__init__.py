"""The command line: recserve-serve and what it can be asked for besides serving."""
