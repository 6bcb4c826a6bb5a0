"""Known contacts get the mails and phones that the file has and they lack; an undo takes them off again.

Judged by a fresh read each time: amoCRM replaces a field as a whole, so what people have there is sent along. Only what
the import itself added is ever taken off, and only as long as it stands there as it was written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.engine import Connection

from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import contact_lines
from amo_bridge.crm.writes import Written
from amo_bridge.engine.imports.book import ImportBook
from amo_bridge.engine.imports.deliver import AT_ONCE, Deliverer, Failed, Settle
from amo_bridge.engine.imports.follow import Follower
from amo_bridge.engine.imports.records import Import, Kept
from amo_bridge.engine.imports.steps import ADD, TAKE_OFF, after_adding, after_taking_off
from amo_bridge.mirror.contacts import ContactIndex
from amo_bridge.webinars.completing import MAIL, PHONE, addresses_in, code_of

Lines = Mapping[str, Sequence[Mapping[str, Any]]]
"""PHONE and EMAIL → the lines of the field."""
FIELDS: Mapping[str, str] = {PHONE: "телефон", MAIL: "почту"}


class Completing:
    def __init__(
        self,
        index: ContactIndex,
        client: CrmClient,
        book: ImportBook,
        deliverer: Deliverer,
        follower: Follower,
        account: Account,
    ) -> None:
        self._index = index
        self._client = client
        self._book = book
        self._deliverer = deliverer
        self._follower = follower
        self._account = account

    def look(self, job: Import) -> bool:
        """A patch says what is to be: a lost one is simply judged anew, on a fresh read."""
        return self._book.again(job.id, ADD if job.state == "running" else TAKE_OFF)

    def step(self, job: Import) -> bool:
        """One request's worth of contacts."""
        step = ADD if job.state == "running" else TAKE_OFF
        rows = _each_contact_once(self._book.due(job.id, step, "ready", AT_ONCE))
        if not rows:
            return False
        wanted = [row.contact_id for row in rows if row.contact_id]
        fresh = contact_lines(self._client, wanted, self._account.is_api_filter_enabled)
        bodies: dict[int, dict[str, Any]] = {}
        notes: dict[int, str] = {}
        with self._book.writing() as connection:
            for row in rows:
                lines = fresh.get(row.contact_id or 0)
                fields = self._added(connection, row, lines) if step == ADD else _taken_off(row, lines, notes)
                if fields:
                    bodies[row.id] = {"id": row.contact_id, "custom_fields_values": self._values(fields)}
                else:
                    self._go_on(connection, row, step, notes.get(row.id, ""))
        self._deliverer.send(
            "patch_contact", bodies, self._settled(rows, step, bodies, notes), self._failed(rows, step)
        )  # fmt: skip
        return True

    def _added(self, connection: Connection, row: Kept, lines: Lines | None) -> dict[str, list[Mapping[str, Any]]]:
        """The fields with what is missing in them; what they were is written down before anything is sent."""
        if lines is None:
            return {}
        missing = {
            code: [one for one in told if one not in addresses_in(code, (line["value"] for line in lines[code]))]
            for code, told in _by_field(row.row.adds).items()
        }
        missing = {code: told for code, told in missing.items() if told}
        if missing:
            was = {code: {"was": lines[code], "added": told} for code, told in missing.items()}
            self._book.mark(connection, [row.id], contact_was=json.dumps(was, ensure_ascii=False))
        return {code: [*lines[code], *map(_work, told)] for code, told in missing.items()}

    def _values(self, fields: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[dict[str, Any]]:
        return [
            {"field_id": self._account.field(code, "contacts").id, "values": list(lines) or None}
            for code, lines in fields.items()
        ]

    def _go_on(self, connection: Connection, row: Kept, step: str, note: str) -> None:
        after = after_adding(row) if step == ADD else after_taking_off(row, note)
        self._book.mark(connection, [row.id], note=note, due_at=0.0, **after)

    def _settled(
        self, rows: Sequence[Kept], step: str, bodies: Mapping[int, Mapping[str, Any]], notes: Mapping[int, str]
    ) -> Settle:
        by_id = {row.id: row for row in rows}

        def settled(connection: Connection, written: Mapping[int, Written]) -> None:
            for number in written:
                self._go_on(connection, by_id[number], step, notes.get(number, ""))
            self._know(connection, {one.id: bodies[number] for number, one in written.items()})

        return settled

    def _failed(self, rows: Sequence[Kept], step: str) -> Failed:
        """The deal is worth more than the address: without it the row goes on."""
        by_id = {row.id: row for row in rows}

        def failed(connection: Connection, words: Mapping[int, str]) -> None:
            for number, told in words.items():
                row = by_id[number]
                if step == ADD:
                    self._book.mark(connection, [number], contact_was=None)
                    self._go_on(connection, row, step, f"контакт не дополнен: {told}")
                else:
                    self._go_on(connection, row, step, f"{_still_there(row.contact_was or {})}: {told}")

        return failed

    def _know(self, connection: Connection, bodies: Mapping[int, Mapping[str, Any]]) -> None:
        """So that the next file finds him before amoCRM's hook has told of him. The hook is heard all the same: within
        the same second somebody may have changed the card again."""
        codes = {self._account.field(code, "contacts").id: code for code in FIELDS}
        renewed = []
        for contact in self._index.get(bodies).values():
            told = {
                codes[field["field_id"]]: field["values"] or () for field in bodies[contact.id]["custom_fields_values"]
            }
            known = {
                name: tuple(sorted(addresses_in(code, (line["value"] for line in told[code]))))
                for name, code in (("phones", PHONE), ("mails", MAIL))
                if code in told
            }
            renewed.append(replace(contact, **known))  # type: ignore[arg-type]
        self._index.put(connection, renewed, self._follower.now())


def _taken_off(row: Kept, lines: Lines | None, notes: dict[int, str]) -> dict[str, list[Mapping[str, Any]]]:
    """The fields without what the import added; in ``notes`` what a person has made something else of."""
    if lines is None:
        return {}
    fields: dict[str, list[Mapping[str, Any]]] = {}
    kept = {}
    for code, told in (row.contact_was or {}).items():
        ours = [_work(one) for one in told["added"]]
        others = [line for line in lines[code] if line not in ours]
        if len(others) < len(lines[code]):
            fields[code] = others
        elif any(line not in told["was"] for line in others):
            kept[code] = told
    if kept:
        notes[row.id] = f"{_still_there(kept)}: изменили после загрузки"
    return fields


def _each_contact_once(rows: Iterable[Kept]) -> list[Kept]:
    """Two people whom somebody took for one contact are not two patches of one request: each would undo the other."""
    return list({row.contact_id: row for row in reversed(list(rows))}.values())[::-1]


def _by_field(addresses: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in addresses:
        found.setdefault(code_of(one), []).append(one)
    return found


def _work(address: str) -> dict[str, str]:
    return {"value": address, "enum_code": "WORK"}


def _still_there(was: Mapping[str, Any]) -> str:
    told = (f"{FIELDS[code]} {', '.join(one['added'])}" for code, one in was.items())
    return f"не убрали из контакта {' и '.join(told)}"
