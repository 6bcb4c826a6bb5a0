"""A rehearsal: the regulation played on a sandbox with the clock moved on, to see what it would do to whom and when.

The very bridge does it (planner, timers, sender), in one thread and on a store of its own; nothing of the real account
or its store is touched, and what would leave the house (letters, notices …) goes nowhere.
"""
