"""``python -m amo_bridge`` is the same as ``amo-bridge``."""

from amo_bridge.cli import main

main()
