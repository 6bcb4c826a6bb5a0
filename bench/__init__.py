"""Proofs under load, run from a checkout and not shipped: ``make chaos`` and ``make bench``."""
