"""Manual edits: changes of amoCRM that a person makes from a page, sent through the outbox.

A process that only serves pages has no token. And unlike what rules write, this is news to the rules: a person did it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Field
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.journal import Journal, origin_of
from amo_bridge.engine.outbox import Planned
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import OPEN_STATES, outbox

BY_PERSON = "by_person"
"""The payload key that says: tell the rules, and whether it was on a page or by the API (``journal.origin_of``)."""


@dataclass(frozen=True)
class ManualEdit:
    """The last thing that was saved on a page. ``state``: of the outbox («done», «failed», anything else is under way);
    ``error``: amoCRM's own words."""

    value: str
    state: str
    error: str = ""

    @property
    def is_under_way(self) -> bool:
        return self.state in OPEN_STATES


@dataclass(frozen=True)
class FieldValues:
    """What is to be in a field; nothing: it is emptied."""

    field: Field
    values: tuple[object, ...]

    @property
    def body(self) -> dict[str, Any]:
        return {"field_id": self.field.id, "values": [{"value": one} for one in self.values] or None}


class ManualEdits:
    """``page``: the page's name, by which its savings are found again."""

    def __init__(self, store: AccountStore, clock: Clock, page: str) -> None:
        self._store = store
        self._clock = clock
        self._page = f"page.{page}"

    def fill(self, deal_id: int, field: Field, value: str, who: str) -> None:
        """Fill a text field of a deal; an empty value empties it. ``who`` stands in the journal.

        Raises StoreUnavailable.
        """
        now = self._clock.now()
        body = {"id": deal_id, "custom_fields_values": [_filled(field, value)]}
        effect = Effect(
            "patch_deal", deal_id, body, f"поле «{field.name}» — {who}, со страницы", extra={BY_PERSON: origin_of(who)}
        )
        planned = Planned(None, self._page, f"{self._page}|{deal_id}|{uuid.uuid4().hex}", effect)
        with self._store.write() as connection:
            insert_new(connection, outbox, [planned.row(self._store.account_id, now)])
            Journal(self._store).note(
                connection, now, "страница моста", {deal_id: f"{who}: поле «{field.name}» сохранено"}
            )

    def answer(self, deal_id: int, values: Sequence[FieldValues], note: str, who: str, mark: str) -> bool:
        """Fill fields of a deal and leave a note, once for each ``mark`` of a form; was there something to do?

        Raises StoreUnavailable.
        """
        now, key = self._clock.now(), f"{self._page}|{deal_id}|{mark}"
        effects = []
        if values:
            body = {"id": deal_id, "custom_fields_values": [one.body for one in values]}
            names = ", ".join(f"«{one.field.name}»" for one in values)
            words = f"поля {names} — {who}, со страницы"
            effects.append(Effect("patch_deal", deal_id, body, words, extra={BY_PERSON: True}))
        if note:
            body = {"entity_id": deal_id, "note_type": "common", "params": {"text": note}}
            effects.append(Effect("add_note", deal_id, body, f"примечание — {who}, со страницы"))
        rows = [Planned(None, self._page, f"{key}|{one.kind}", one).row(self._store.account_id, now) for one in effects]
        with self._store.write() as connection:
            if not rows or not insert_new(connection, outbox, rows):
                return False
            said = "; ".join(one.words for one in effects)
            Journal(self._store).note(connection, now, "страница моста", {deal_id: said})
        return True

    def last(self, deal_id: int) -> ManualEdit | None:
        """The deal's last saving from this page, as long as it is remembered."""
        mine = (self._store.owns(outbox), outbox.c.deal_id == deal_id, outbox.c.rule == self._page)
        query = select(outbox.c.payload, outbox.c.state, outbox.c.error).where(*mine).order_by(outbox.c.id.desc())
        with self._store.read() as connection:
            row = connection.execute(query.limit(1)).first()
        return None if row is None else ManualEdit(_value(json.loads(row.payload)["body"]), row.state, row.error or "")


def _filled(field: Field, value: str) -> dict[str, Any]:
    return {"field_id": field.id, "values": [{"value": value}] if value else None}


def _value(body: dict[str, Any]) -> str:
    (field,) = body["custom_fields_values"]
    return str(field["values"][0]["value"]) if field["values"] else ""
