"""Processes of ``amo-bridge serve``: a thin one that listens, and the one that works.

The thin one (``gunicorn``) imports next to nothing, because whatever it held would be held twice. All that the bridge
is made of is imported, checked and run in the other (``process``, ``connections``); how that ends, the thin one ends
with.
"""
