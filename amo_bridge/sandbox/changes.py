"""Change of one entity: what the events list and the webhooks are made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["leads", "contacts", "companies", "customers", "tasks", "notes", "unsorted", "talks", "messages"]
"""Which collection the entity is in (amoCRM's own plural words)."""

Action = Literal["add", "update", "delete", "restore", "link", "unlink", "accept", "decline"]


@dataclass(frozen=True)
class Change:
    """One entity changed once.

    ``before`` and ``after`` are the entity's whole records as World keeps them (``before`` is None for an added one,
    ``after`` is None for a deleted one); a reader finds out what differs by comparing them, so one PATCH
    of a lead that moves it and reassigns it is ONE Change and still gives several events and hooks.
    ``user_id`` is who did it (0: a robot), ``at`` the account's clock in Unix seconds. ``extra`` carries what is in
    neither record, e.g. for a link: {"to_entity_type": "contacts", "to_entity_id": 5}; for a task's completion from
    the task list: {"from_task_list": true}.
    """

    kind: Kind
    action: Action
    entity_id: int
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    user_id: int
    at: int
    extra: Mapping[str, Any] = field(default_factory=dict)
