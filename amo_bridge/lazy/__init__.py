"""Made with its first use: the methods of dataclasses, the automata of patterns.

A command imports some two hundred dataclasses and as many patterns, and uses a few of them.
"""
