"""Provision: what the config names and the account lacks is created (``amo-bridge provision``).

``requirements``: what the config asks for, and of which type each field must be. ``plan``: what of it is missing.
``apply``: creating it. Nothing that is there is ever changed, except that a field gets more choices.
"""
