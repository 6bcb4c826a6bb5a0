"""Preparing an account: what the config names and the account lacks is created (``amo-bridge provision``).

``options``: the section ``[provision]``. ``uses``: the type that a place in the config asks of a field. ``wanted``:
what the config asks for. ``plan``: what of it is missing. ``carry_out``: creating it. Nothing that is there is ever
changed, except that a field gets more choices.
"""
