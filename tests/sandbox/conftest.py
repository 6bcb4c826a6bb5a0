"""One sandbox in memory for a test, requests over Flask's test client."""

from __future__ import annotations

import pytest
from support.sandbox_account import SandboxAccount

from amo_bridge.sandbox.account_start import load_world


@pytest.fixture
def account() -> SandboxAccount:
    return SandboxAccount(load_world())
