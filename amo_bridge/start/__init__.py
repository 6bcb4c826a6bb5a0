"""Start in five minutes: a config from an account and a regulation (``amo-bridge init``, ``/start``).

``regulations``: the shipped examples taken apart into blocks. ``matching``: what they call something and what the
account calls it. ``draft``: the config's text; ``trimming``: what a rule can do without is taken out of it. ``steps``:
the order in which a person is asked. ``access``: the account read for the first time, its token kept.
``first_rehearsal``: what the rules would do, in a few lines.
"""
