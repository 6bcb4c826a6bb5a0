"""Texts: names and answers compared, phones and e-mails normalised, templates of letters, call scripts. No I/O but
reading template files.
"""
