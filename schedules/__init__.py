"""THE REGULATION, clock side: one file per kind of timed check, with the same face as a handler.

Nothing is here yet: ladders, dates and deadlines are the next step (see CHANGELOG.md).
"""
