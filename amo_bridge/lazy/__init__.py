"""Shorter starts: dataclasses whose methods are made with their first use, collection put off."""
