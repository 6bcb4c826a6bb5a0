"""``amo-bridge serve`` as processes: a thin one that listens, waits and starts the other again, and the one that works.

The thin one (``arbiter``) imports next to nothing, because whatever it held would be held twice. All that the bridge is
made of is imported, checked and run in the other (``house``); how that ends, the thin one ends with.
"""
