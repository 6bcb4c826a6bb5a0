"""Dates as the regulation writes them: working calendar, due phrases, durations, offsets, recurrences. No I/O."""
