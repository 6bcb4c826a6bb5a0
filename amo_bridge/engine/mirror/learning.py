"""What the mirror learns from events as they come in, in the transaction that keeps them.

Deals and contacts are learnt later, by a fresh read; tasks at the door (``task_door``).
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.engine import Connection

from amo_bridge.engine.mirror.contacts import forget_contacts
from amo_bridge.engine.mirror.touch_of import touch_of
from amo_bridge.engine.mirror.touches import add_touches, correct_touches
from amo_bridge.events import ClientDeleted, Event


def learn(connection: Connection, account: int, told: Sequence[Event]) -> None:
    """Touches are counted; who is deleted is forgotten."""
    touches = [(event.caught_up, touch) for event in told if (touch := touch_of(event))]
    add_touches(connection, account, [touch for caught_up, touch in touches if not caught_up])
    # amoCRM's own list knows who it was; a hook does not always.
    correct_touches(connection, account, [touch for caught_up, touch in touches if caught_up])
    gone = [event.client_id for event in told if isinstance(event, ClientDeleted) and event.kind == "contact"]
    forget_contacts(connection, account, gone)
