"""What a process does for its accounts."""

from __future__ import annotations

from typing import Literal

Role = Literal["all", "web", "worker"]
"""web: only take hooks in; worker: only work; all: both."""
