"""Stand-ins of vendors: local HTTP servers with the vendors' proofs, errors and webhooks.

For tests, the demo and an admin who tries everything in a browser. ``server.STAND_INS`` is the table of vendors. Each
is written from the vendor's own documentation (``docs/sandbox.md`` says what is documented and what assumed), never
from what our client happens to send.
"""
