"""A task to set."""

from __future__ import annotations

from typing import Literal

from amo_bridge.actions import CreateTask
from amo_bridge.config.names import PersonName, TaskTypeName, Text
from amo_bridge.dates.due import Due
from amo_bridge.deal import Deal
from amo_bridge.options.condition import Condition
from amo_bridge.rules import Options


class TaskSpec(Options):
    """A task to set: ``{ text = "Согласовать КП", to = "head", due = "1 working day" }``.

    ``on``: on the deal's card, or on the card of its main contact. ``when``: only if the deal is like this.
    """

    text: Text
    to: PersonName
    due: Due
    type: TaskTypeName | None = None
    on: Literal["deal", "contact"] = "deal"
    when: Condition | None = None

    def for_deal(self, deal: Deal, *, slot: str = "") -> CreateTask:
        return CreateTask(
            deal_id=deal.id,
            text=self.text.for_deal(deal),
            to=self.to,
            due=self.due,
            task_type=self.type,
            on=self.on,
            slot=slot,
        )
