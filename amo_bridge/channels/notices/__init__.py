"""Telling the agency's own people: each by his own ways, the next one when the first fails, not in quiet hours."""
