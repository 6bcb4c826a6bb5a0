"""A day at work by a shipped example: people do things in a stopped amoCRM, and the bridge finishes what follows."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from amo_bridge.demo.crm_user import CrmUser
from support.local_crm import LocalCrm
from support.running_bridge import RunningBridge


class OfficeDay:
    """``zone``: the account's. Every deed is done by a person, a minute after the last one."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, crm: LocalCrm, zone: str = "Europe/Moscow") -> None:
        self.office, self.bridge, self.crm = office, bridge, crm
        self._zone = ZoneInfo(zone)

    # --- what people do ---

    def settle(self) -> None:
        self.bridge.settle(self.crm)
        self.crm.later()

    def at(self, moment: str) -> None:
        """It is «2026-10-05T12:00» by the account's clocks, and what is due by then is done."""
        self.bridge.settle_at(self.crm, set=moment)

    def deal(self, person: str, name: str, stage: str, contact: int | None = None, price: int = 10_000) -> int:
        made = self.office.new_deal(person, name, stage, contact or self.contact(person, name), price)
        self.settle()
        return made

    def contact(self, person: str, name: str, **fields: Any) -> int:
        """``fields``: code → value («PHONE») or the field's name → value."""
        made = self.office.new_contact(person, name)
        if fields:
            self.card(person, made, **fields)
        return made

    def card(self, person: str, contact: int, **fields: Any) -> None:
        """Fill a contact's card."""
        rows = self.office._rows("/api/v4/contacts/custom_fields", "custom_fields")
        known = {row["name"]: row["id"] for row in rows} | {row["code"]: row["id"] for row in rows if row["code"]}
        values = [{"field_id": known[name], "values": [{"value": value}]} for name, value in fields.items()]
        self.office._ask("PATCH", "/api/v4/contacts", [{"id": contact, "custom_fields_values": values}], person)
        self.settle()

    def move(self, person: str, deal: int, stage: str, **more: Any) -> str:
        """Where the deal is after the bridge has looked at the move."""
        self.office.move(person, deal, stage, **more)
        self.settle()
        return self.office.stage_of(deal)

    def lose(self, person: str, deal: int, reason: str) -> str:
        """Close it as lost, in its own pipeline."""
        pipeline = self.office.stage_of(deal).partition(" / ")[0]
        reasons = {"loss_reason_id": self.office.reasons[reason]}
        return self.move(person, deal, f"{pipeline} / Закрыто и не реализовано", **reasons)

    def fill(self, person: str, deal: int, *, settle: bool = True, **fields: Any) -> None:
        """``fields``: the field's name with «_» for blanks → value; «2026-10-05» is a date."""
        for name, value in fields.items():
            if isinstance(value, str) and value[:2] == "20" and value.count("-") == 2:
                moment = datetime.fromisoformat(value).replace(tzinfo=self._zone)
                self.office.fill(person, deal, name, int(moment.timestamp()))
            else:
                self.office.fill(person, deal, name, value)
        if settle:
            self.settle()

    def attach(self, person: str, deal: int, *names: str) -> None:
        for name in names:
            self.office.attach(person, deal, name)
        self.settle()

    def call(self, person: str, deal: int, *, seconds: int = 60, incoming: bool = False) -> None:
        self.office.call(person, deal, seconds=seconds, incoming=incoming)
        self.settle()

    def note(self, person: str, deal: int, text: str) -> None:
        self.office.write_note(person, deal, text)
        self.settle()

    def assign(self, person: str, deal: int, to: str) -> None:
        self.office._ask("PATCH", f"/api/v4/leads/{deal}", {"responsible_user_id": self.office.users[to]}, person)
        self.settle()

    def finish(self, person: str, deal: int, text: str, result: str = "") -> None:
        """Finish the open task that begins so."""
        (found,) = [row for row in self._open(deal) if row["text"].startswith(text)]
        self.office.finish(person, deal, found["text"], result)
        self.settle()

    # --- what they see ---

    def stage(self, deal: int) -> str:
        return self.office.stage_of(deal)

    def owner(self, deal: int) -> str:
        return self._name(self.office.deal(deal)["responsible_user_id"])

    def tasks(self, deal: int) -> dict[str, tuple[str, str]]:
        """Open tasks: whose they are, and when they are due by the account's clocks."""
        return {row["text"]: (row["who"], self._due(row)) for row in self._open(deal)}

    def tasks_of(self, deal: int, person: str) -> list[str]:
        return [text for text, (who, _) in self.tasks(deal).items() if who == person]

    def explained(self, deal: int) -> str:
        """What the bridge has asked for by putting the deal back; empty if nothing."""
        return "; ".join(text for text in self.tasks(deal) if "Для " in text)

    def on_card(self, contact: int) -> dict[str, str]:
        """Open tasks on a contact's card: whose they are."""
        query = f"filter[entity_type]=contacts&filter[entity_id][]={contact}&order[id]=asc"
        rows = self.office._rows(f"/api/v4/tasks?{query}", "tasks")
        return {
            row["text"]: self._name(row["responsible_user_id"])
            for row in rows
            if row["entity_id"] == contact and not row["is_completed"]
        }

    def told(self, deal: int) -> str:
        """What the journal says was done about the deal, notices too."""
        return "; ".join(words for entry in self.bridge.journal(deal) for words, _, _ in entry.effects)

    def _open(self, deal: int) -> list[dict[str, Any]]:
        return [row for row in self.office.tasks(deal) if not row["is_completed"]]

    def _due(self, row: dict[str, Any]) -> str:
        return f"{datetime.fromtimestamp(row['complete_till'], self._zone):%d.%m %H:%M}"

    def _name(self, user_id: int) -> str:
        return next(name for name, known in self.office.users.items() if known == user_id)
