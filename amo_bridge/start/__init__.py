"""The start in five minutes: an account and a regulation become a config (``amo-bridge init``, the pages ``/start``).

``regulations``: the shipped examples taken apart into blocks. ``matching``: what they call something and what the
account calls it. ``draft``: the config's text. ``steps``: the order in which a person is asked. ``account``: the
account read for the first time, its token kept. ``first_rehearsal``: what the rules would do, in a few lines.
"""
