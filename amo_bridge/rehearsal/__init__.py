"""Rehearsal: the regulation played on a sandbox with the clock moved on; nothing real is touched.

The engine itself does it (processor, timers, sender), in one thread and on a store of its own; nothing of the real
account or its store is touched, and what would go out by a channel (letters, notices …) goes nowhere.
"""
