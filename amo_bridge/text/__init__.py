"""Texts: names and answers compared, phones and mails normalised, templates, call scripts."""
