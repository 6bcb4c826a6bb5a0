"""Dates as the regulation writes them: calendar, due phrases, durations, offsets, recurrences. No I/O."""
