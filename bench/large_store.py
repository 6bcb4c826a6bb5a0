"""A store as a busy account leaves it: rows of every table that grows, put in directly."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from flask import Flask
from sqlalchemy import Table, insert

from amo_bridge.crm.account import LOST, WON, Account
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import OUTSIDE
from amo_bridge.engine.journal import NOTHING_PACKED, Skip, pack
from amo_bridge.events import StageEntered
from amo_bridge.mirror.contacts import MirroredContact
from amo_bridge.mirror.deals import follow_fields
from amo_bridge.storage import tables
from amo_bridge.storage.accounts import DEALS_FILLED, Cursors
from amo_bridge.storage.database import AccountStore
from amo_bridge.text.names import normalise
from amo_bridge.webinars import plan
from amo_bridge.webinars.attendees import Attendee
from amo_bridge.webinars.imports.model import person_json, planned_json
from amo_bridge.webinars.sorting import Figures, Sorted

Row = dict[str, Any]
AT_ONCE = 5_000
DAY = 86_400.0
FIRST_DEAL = 30_000_001
FIRST_CONTACT = 40_000_001
DAYS = 91
"""A day longer than the journal is kept (``keep_journal``)."""

CAMPAIGN_FIELD = "utm_campaign"
SECTIONS = """
[kpi]
people = ["Иван Петров", "Мария Кузнецова"]
[daily_report]
[policies]
people = ["Иван Петров", "Мария Кузнецова"]
[people."Иван Петров"]
login = "ivan"
[pay]
people = ["Иван Петров", "Мария Кузнецова"]
salary = 100_000
started = "Дата дедлайна"
renewed = { sum = 10_000, stages = ["Продажи / Утвержденный проект"] }
lost = { sum = 5_000, stages = ["Продажи / Отложенные"] }
[ads]
campaign_field = "utm_campaign"
norms = [{ metric = "CPL", most = 40 }]
[audiences]
consent = "Должность"
[audiences.lists."VK"]
[webinar]
active_stage = "Продажи / Новый клиент"
long_stage = "Продажи / Новый клиент"
short_stage = "Продажи / Новый клиент"
responsible = "Иван Петров"
deal_name = "{почта}, {имя}"
date_field = "Дата первой встречи"
minutes_field = "Услуги"
"""
"""What the shipped example leaves to be switched on, so that every page has something to ask for."""


@dataclass(frozen=True)
class Size:
    """``deals`` of the mirror; ``lines`` of the journal. The other tables follow from them."""

    deals: int
    lines: int


class LargeStore:
    """``account``: whose stages and people the rows are of. ``rules``: names of rules, for the journal."""

    def __init__(self, store: AccountStore, account: Account, rules: tuple[str, ...], now: datetime) -> None:
        self._store = store
        self._account = account
        self._rules = rules
        self._now = now.timestamp()
        self._people = [person.id for person in account.users]
        self._stages = [(stage.pipeline_id, stage.status_id) for stage in account.stages]

    def fill(self, size: Size, progress: Callable[[str], None] = lambda words: None) -> None:
        """Put everything in."""
        for table, count, row in self._plan(size):
            progress(f"{table.name}: {count:,}")
            self._put(table, count, row)
        with self._store.write() as connection:
            Cursors(self._store).write(connection, DEALS_FILLED, self._now)
        # As the worker does for [ads].
        follow_fields(self._store, [self._account.field(CAMPAIGN_FIELD).id])

    def _plan(self, size: Size) -> Iterator[tuple[Table, int, Callable[[int], Row]]]:
        some = max(size.deals // 5, 200)
        yield tables.deals, size.deals, self._deal
        yield tables.contacts, size.deals, self._contact
        yield tables.contact_keys, size.deals, self._contact_key
        yield tables.journal, size.lines, self._line(size)
        yield tables.outbox, size.lines // 7, self._effect(size)
        yield tables.events, size.lines // 14, self._event(size)
        yield tables.inbox, size.lines // 14, self._hook
        yield tables.timers, size.deals, self._timer
        yield tables.tasks, some, self._task
        yield tables.task_history, some * 2, self._task_state(some)
        yield tables.touches, size.deals * 2, self._touch(size)
        yield tables.deal_facts, size.deals * 2, self._fact(size)
        yield tables.made, size.deals, self._made
        yield tables.violations, some, self._violation
        yield tables.violation_decisions, some // 10, self._decision
        yield tables.enquiries, some, self._enquiry
        yield tables.enquiry_addresses, some, self._address
        yield tables.intake_requests, some, self._request
        yield tables.letters, some, self._letter
        yield tables.documents, some // 10, self._document
        yield tables.stored_files, some, self._file
        yield tables.series, some // 4, self._series
        yield tables.dials, some // 4, self._dial
        yield tables.dial_calls, some, self._call(some // 4)
        yield tables.sms, some // 4, self._sms
        yield tables.audience_members, some, self._member
        yield tables.audience_holds, some, self._hold
        yield tables.daily_reports, some // 10, self._daily_report
        yield tables.policies, 5, self._policy
        yield tables.policy_versions, 5, self._policy_version
        yield tables.acknowledgements, 5 * len(self._people), self._acknowledgement
        yield tables.ad_statistics, some, self._ad_day
        yield tables.imports, 40, self._import
        yield tables.import_rows, some, self._import_row
        yield tables.approvals, some // 4, self._approval
        yield tables.audit, some, self._audit
        yield tables.rehearsals, 3, self._rehearsal

    def _put(self, table: Table, count: int, row: Callable[[int], Row]) -> None:
        for start in range(0, count, AT_ONCE):
            rows = [row(number) for number in range(start, min(start + AT_ONCE, count))]
            if table is not tables.audit:
                rows = [{"account": self._store.account_id, **one} for one in rows]
            with self._store.write() as connection:
                connection.execute(insert(table), rows)

    def _ago(self, number: int, count: int, days: float = DAYS) -> float:
        """Rows come in the order of time, the newest a minute ago."""
        return self._now - 60 - days * DAY * (1 - (number + 1) / count)

    def _person(self, number: int) -> int:
        return self._people[number % len(self._people)]

    def _deal_of(self, number: int, size: Size) -> int:
        return FIRST_DEAL + number * 7919 % size.deals

    def _campaign(self, number: int) -> dict[int, tuple[str, ...]]:
        """Fifty deals of 100,000 name one each."""
        return {} if number % 2000 else {self._account.field(CAMPAIGN_FIELD).id: (f"Кампания {number // 2000 % 50}",)}

    def _deal(self, number: int) -> Row:
        pipeline, status = self._stages[number % len(self._stages)]
        at = datetime.fromtimestamp(self._now - number % 400 * DAY, UTC)
        name = f"ООО «Ромашка {number}», весна"
        record = DealRecord(
            id=FIRST_DEAL + number, name=name, pipeline_id=pipeline, status_id=status, price=1000 + number,
            responsible_user_id=self._person(number), created_at=at, updated_at=at,
            contact_ids=(FIRST_CONTACT + number,), main_contact_id=FIRST_CONTACT + number,
            closed_at=at if status in (WON, LOST) else None, loss_reason="Дорого" if status == LOST else None,
            fields=self._campaign(number),
        )  # fmt: skip
        return {
            "deal_id": record.id,
            "pipeline_id": pipeline,
            "status_id": status,
            "stage_since": at.timestamp(),
            "updated_at": at.timestamp(),
            "read_at": self._now,
            "record": json.dumps(record.to_json(), ensure_ascii=False),
            "came_by": "[]",
            "plain_name": normalise(name),
            "responsible_user_id": record.responsible_user_id,
            "closed_at": at.timestamp() if status in (WON, LOST) else None,
        }

    def _contact(self, number: int) -> Row:
        contact = MirroredContact(
            id=FIRST_CONTACT + number, name=f"Пётр Лютиков {number}", deal_ids=(FIRST_DEAL + number,)
        )
        record = json.dumps(contact.to_json(), ensure_ascii=False)
        return {"contact_id": contact.id, "updated_at": self._now, "read_at": self._now, "record": record}

    def _contact_key(self, number: int) -> Row:
        return {"kind": "phone", "key": f"+7916{number:07}", "contact_id": FIRST_CONTACT + number}

    def _line(self, size: Size) -> Callable[[int], Row]:
        loud = ("acts", "acts", "acts", "would_act", "held", "failed")

        silent = [Skip(rule, "A10", "хук: этап «Продажи / Новый клиент»", "не тот этап") for rule in self._rules[:20]]

        def row(number: int) -> Row:
            verdict = loud[number // 7 % len(loud)] if number % 7 == 0 else "skipped"
            packed = pack(StageEntered, silent, "смена этапа") if number % 7 == 1 else NOTHING_PACKED
            if number % 7 == 1:
                verdict = "came"
            return {
                **packed,
                "at": self._ago(number, size.lines),
                "event_id": number // 7 + 1,
                "deal_id": self._deal_of(number // 7, size),
                "what": "хук: этап «Продажи / Новый клиент»",
                "rule": None if verdict == "came" else self._rules[number % len(self._rules)],
                "clause": "A10",
                "verdict": verdict,
                "reason": "" if verdict == "acts" else "не тот этап",
                "actions": '["задача «Связаться с клиентом»"]' if number % 7 == 0 else "[]",
                "source": ("webhook", "timer", "reconciliation")[number // 7 % 3] if number % 7 == 0 else None,
            }

        return row

    def _effect(self, size: Size) -> Callable[[int], Row]:
        kinds = ("create_task", "patch_deal", "add_note", *OUTSIDE)
        payload = json.dumps({"body": {"text": "Связаться"}, "words": "задача «Связаться»", "slot": "a"})
        count = size.lines // 7

        def row(number: int) -> Row:
            state = "done"
            if number >= count - 60:
                state = ("ready", "failed", "unknown")[number % 3]
            elif number % 50 == 0:
                state = "unsent"
            at = self._ago(number, count)
            return {
                "key": f"{number}|key",
                "event_id": number + 1,
                "rule": self._rules[number * 7 % len(self._rules)],
                "deal_id": self._deal_of(number, size),
                "kind": kinds[number % len(kinds)],
                "payload": payload,
                "state": state,
                "created_at": at,
                "sent_at": at,
                "done_at": at if state == "done" else None,
                "error": "amoCRM отказала" if state == "failed" else None,
            }

        return row

    def _event(self, size: Size) -> Callable[[int], Row]:
        count = size.lines // 14

        def row(number: int) -> Row:
            return {
                "inbox_id": number + 1,
                "key": f"key {number}",
                "deal_id": self._deal_of(number, size),
                "received_at": self._ago(number, count, 14),
                "body": "{}",
                "state": "failed" if number >= count - 20 else "done",
                "error": "ошибка" if number >= count - 20 else None,
            }

        return row

    def _hook(self, number: int) -> Row:
        return {"received_at": self._now - 60, "body": b"leads%5Bupdate%5D=1", "state": "decoded"}

    def _timer(self, number: int) -> Row:
        return {
            "deal_id": FIRST_DEAL + number,
            "rule": self._rules[number % len(self._rules)],
            "step": "3 d",
            "anchor": str(number),
            "due_at": self._now + (number % 60 + 1) * DAY,
            "since": self._now,
            "state": "fired" if number % 5 == 0 else "open",
        }

    def _task(self, number: int) -> Row:
        at = self._now - number % 30 * DAY
        is_open = number % 5 == 0
        # Of the finished ones every eighth was late by half a day.
        done_at = at + DAY / 2 * (number % 10 == 1)
        return {
            "task_id": 50_000_001 + number,
            "entity_type": "deal",
            "entity_id": FIRST_DEAL + number,
            "responsible_user_id": self._person(number),
            "created_by": 0,
            "task_type_id": 1,
            "text": "Связаться с клиентом",
            "is_completed": not is_open,
            # Of the open ones every tenth is late.
            "due_at": self._now + (-DAY if number % 50 == 0 else number % 30 * DAY) if is_open else at,
            "created_at": at,
            "updated_at": at if is_open else done_at,
            "completed_at": None if is_open else done_at,
        }

    def _task_state(self, some: int) -> Callable[[int], Row]:
        """Each is met when it is made; then it is done, or moved by a day."""

        def row(number: int) -> Row:
            of_task, task = divmod(number, some)
            known = self._task(task)
            told = {name: known[name] for name in ("task_id", "created_at", "due_at", "responsible_user_id")}
            first_due, ended_at = known["due_at"], known["completed_at"]
            if ended_at is None:
                first_due, ended_at = first_due - DAY, known["created_at"] + 1
            if of_task:
                late_until = None if known["is_completed"] else tables.NO_END
                state = "done" if known["is_completed"] else "open"
                return {**told, "since": ended_at, "state": state, "late_until": late_until}
            late_until = ended_at if ended_at > first_due else None
            begun = {"since": known["created_at"], "due_at": first_due, "state": "open", "late_until": late_until}
            return {**told, **begun}

        return row

    def _touch(self, size: Size) -> Callable[[int], Row]:
        def row(number: int) -> Row:
            return {
                "key": f"touch {number}",
                "kind": ("call", "letter", "message")[number % 3],
                "direction": ("in", "out")[number % 2],
                "at": self._ago(number, size.deals * 2, 400),
                "user_id": self._person(number),
                "entity_type": "deal",
                "entity_id": self._deal_of(number, size),
                "seconds": number % 200,
                "phone": f"+7916{number:07}",
            }

        return row

    def _fact(self, size: Size) -> Callable[[int], Row]:
        def row(number: int) -> Row:
            pipeline, status = self._stages[number % len(self._stages)]
            return {
                "deal_id": self._deal_of(number, size),
                "key": f"fact {number}",
                "what": ("stage", "owner")[number % 2],
                "was": "",
                "now": f"{pipeline}/{status}" if number % 2 == 0 else str(self._person(number)),
                "at": self._ago(number, size.deals * 2, 400),
                "source": "hook",
            }

        return row

    def _made(self, number: int) -> Row:
        return {
            "rule": self._rules[number % len(self._rules)],
            "deal_id": FIRST_DEAL + number,
            "slot": "a",
            "kind": "task",
            "entity_id": 50_000_001 + number,
            "at": self._now,
        }

    def _violation(self, number: int) -> Row:
        return {
            "key": f"violation {number}",
            "at": self._now - number % 400 * DAY,
            "user_id": self._person(number),
            "person": "Иван Петров",
            "clause": "A10",
            "deal_id": FIRST_DEAL + number,
            "deal_name": f"Ромашка {number}",
            "rule": self._rules[number % len(self._rules)],
            "why": "не позвонил в срок",
            "penalty": 500,
            "currency": "RUB",
            "state": "counts",
        }

    def _decision(self, number: int) -> Row:
        told = {"violation_id": number + 1, "at": self._now, "who": "Анна"}
        return {**told, "state": "forgiven", "why": "болел"}

    def _enquiry(self, number: int) -> Row:
        return {
            "kind": "enquiry",
            "source": "tilda",
            "key": f"enquiry {number}",
            "request_id": number + 1,
            "received_at": self._now - number % 90 * DAY,
            "body": json.dumps({"source": "tilda", "key": str(number), "phones": [f"+7916{number:07}"]}),
            "state": ("done", "done", "skipped", "asked", "refused")[number % 5],
            "standing": "new",
            "deal_id": FIRST_DEAL + number,
            "contact_id": FIRST_CONTACT + number,
        }

    def _address(self, number: int) -> Row:
        return {"address": f"+7916{number:07}", "enquiry_id": number + 1}

    def _request(self, number: int) -> Row:
        return {
            "vendor": "tilda",
            "key": f"request {number}",
            "method": "POST",
            "body": b"name=1",
            "received_at": self._now - 60,
            "state": "broken" if number % 50 == 0 else "read",
        }

    def _letter(self, number: int) -> Row:
        return {
            "outbox_id": number + 1,
            "deal_id": FIRST_DEAL + number,
            "contact_id": FIRST_CONTACT + number,
            "address_key": f"{number:064}",
            "template": "brief",
            "thread": "brief",
            "message_id": f"<{number}@bridge>",
            "sent_at": self._now,
        }

    def _document(self, number: int) -> Row:
        return {
            "deal_id": FIRST_DEAL + number,
            "template": "invoice",
            "entry": "1",
            "number": number + 1,
            "name": "Счёт.docx",
            "file_uuid": f"uuid-{number}",
            "made_at": self._now - number % 90 * DAY,
        }

    def _file(self, number: int) -> Row:
        return {
            "vendor": "disk",
            "deal_id": FIRST_DEAL + number,
            "file_uuid": f"uuid-{number}",
            "version_uuid": "1",
            "base": "Договор.pdf",
            "version": 1,
            "name": "Договор.pdf",
            "folder_ref": "/1",
            "ref": f"/1/{number}",
            "size": 1000,
            "md5": "0" * 32,
            "file_at": self._now,
            "state": "stored",
            "outbox_id": number + 1,
            "stored_at": self._now,
        }

    def _series(self, number: int) -> Row:
        return {
            "outbox_id": number + 1,
            "deal_id": FIRST_DEAL + number,
            "name": "утепляющая",
            "pipeline_id": self._stages[0][0],
            "status_id": self._stages[0][1],
            "started_at": self._now,
            "next_number": 1,
            "next_at": self._now + DAY,
            "state": "open" if number % 20 == 0 else "ended",
            "because": "",
        }

    def _dial(self, number: int) -> Row:
        return {
            "outbox_id": number + 1,
            "key": f"dial {number}",
            "rule": self._rules[0],
            "deal_id": FIRST_DEAL + number,
            "pipeline_id": self._stages[0][0],
            "status_id": self._stages[0][1],
            "started_at": self._now - number % 90 * DAY,
            "state": "waiting" if number % 50 == 0 else "ended",
            "next_at": self._now + DAY,
            "why": "ждёт рабочего времени",
            "ended_at": None if number % 50 == 0 else self._now,
        }

    def _call(self, dials: int) -> Callable[[int], Row]:
        def row(number: int) -> Row:
            return {
                "dial_id": number % dials + 1,
                "deal_id": FIRST_DEAL + number % dials,
                "ref": f"ref-{number}",
                "vendor": "zadarma",
                "user_id": self._person(number),
                "extension": "101",
                "phone": f"+7916{number:07}",
                "asked_at": self._now - number % 90 * DAY,
                "state": "talked",
                "is_applied": True,
            }

        return row

    def _sms(self, number: int) -> Row:
        return {
            "outbox_id": number + 1,
            "deal_id": FIRST_DEAL + number,
            "contact_id": FIRST_CONTACT + number,
            "vendor": "smsc",
            "vendor_id": str(number),
            "phone": f"+7916{number:07}",
            "parts": 1,
            "sent_at": self._now,
            "state": "delivered",
        }

    def _member(self, number: int) -> Row:
        return {
            "audience": "VK",
            "contact_id": FIRST_CONTACT + number,
            "state": ("in", "in", "in", "queued", "refused")[number % 5],
            "since": self._now,
            "words": "нет согласия" if number % 5 == 4 else "",
            "checked_at": 1.0,
            "seen_at": 1.0,
        }

    def _hold(self, number: int) -> Row:
        return {
            "audience": "VK",
            "deal_id": FIRST_DEAL + number,
            "contact_id": FIRST_CONTACT + number,
            "rule": self._rules[0],
            "since": self._now,
            "seen_at": 1.0,
        }

    def _daily_report(self, number: int) -> Row:
        day, person = divmod(number, len(self._people))
        return {
            "day": (date(2026, 1, 1) + timedelta(days=day)).isoformat(),
            "user_id": self._people[person],
            "person": "Иван Петров",
            "amount": 1,
            "sales": 1,
            "talks": 1,
            "plan": "Прозвонить 70 лидов",
            "version": 1,
            "due_at": self._now,
            "confirmed_by": "",
            "shown_version": 0,
        }

    def _policy(self, number: int) -> Row:
        return {"name": f"text-{number}", "title": f"Звонки {number}", "is_file": False, "version": 1}

    def _policy_version(self, number: int) -> Row:
        told = {"policy_id": number + 1, "version": 1, "at": self._now, "who": "Анна"}
        return {**told, "title": f"Звонки {number}", "text": "# Звонки\n\nЗвонить."}

    def _acknowledgement(self, number: int) -> Row:
        policy, person = divmod(number, len(self._people))
        return {
            "policy_id": policy + 1,
            "version": 1,
            "user_id": self._people[person],
            "person": "Иван Петров",
            "asked_at": self._now,
            "remind_at": self._now,
            "due_at": self._now,
            "read_by": "",
        }

    def _ad_day(self, number: int) -> Row:
        day, campaign = divmod(number, 50)
        return {
            "day": (datetime.fromtimestamp(self._now, UTC).date() - timedelta(days=day)).isoformat(),
            "service": "vk",
            "folded": f"кампания {campaign}",
            "placement": "",
            "currency": "RUB",
            "campaign": f"Кампания {campaign}",
            "shows": 1000,
            "clicks": 10,
            "cost": 21_000,
            "leads": 1,
            "source": "a.csv",
            "loaded_at": self._now,
        }

    def _import(self, number: int) -> Row:
        told = {"state": "done", "held_on": "2026-11-24", "title": "Вебинар", "files": "[]"}
        return {**told, "made_at": self._now, "made_by": "Анна", "started_at": self._now, "finished_at": self._now}

    def _import_row(self, number: int) -> Row:
        held_on = date(2026, 11, 24)
        mails = (f"guest{number}@example.com",)
        person = Attendee(key=f"{number:032}", name=f"Гость {number}", held_on=held_on, minutes=70.0, mails=mails)
        row = plan.Row(
            person=person,
            sorted=Sorted(interest="long", why="смотрел долго"),
            standing="new",
            what="create_person",
            why="новый",
            figures=Figures(held_on=held_on, minutes=70.0),
        )
        return {
            "import_id": number % 40 + 1,
            "number": number // 40 + 1,
            "person_key": person.key,
            "person": person_json(person),
            "standing": row.standing,
            "what": row.what,
            "interest": row.sorted.interest,
            "planned": planned_json(row),
            "state": "done",
        }

    def _approval(self, number: int) -> Row:
        return {
            "task_id": 50_000_001 + number,
            "deal_id": FIRST_DEAL + number,
            "user_id": self._person(number),
            "way": "telegram",
            "chat_id": 1,
            "message": str(number),
            "state": "asked" if number % 20 == 0 else "closed",
            "words": "Согласовать КП",
            "due_at": self._now,
        }

    def _audit(self, number: int) -> Row:
        told = {"at": self._now, "who": "Анна", "account": "", "deed": "config saved"}
        return {**told, "words": "изменена настройка", "details": ""}

    def _rehearsal(self, number: int) -> Row:
        return {
            "state": "done",
            "days": 14,
            "asked_at": self._now,
            "asked_by": "Анна",
            "ended_at": self._now,
            "progress": 1.0,
            "doing": "",
            "trouble": "",
            "deeds": "[]",
        }


RULE = "stage_creates_tasks.new_client"
NAMED: Mapping[str, str | int] = {
    "deal_id": FIRST_DEAL, "number": 1, "user_id": 1, "policy_id": 1, "event_id": 1, "file_id": 1, "name": RULE,
    "vendor": "mail", "kind": "stage_creates_tasks", "key": "x", "secret": "x", "token": "x", "filename": "app.css",
}  # fmt: skip
"""What stands in an address for the thing that it names."""
NAMED_ELSEWHERE: Mapping[str, Mapping[str, str]] = {
    "audiences.one": {"name": "VK"},
    "api_v1.audiences_audience": {"name": "VK"},
    "api_v1.config_backup": {"name": "x"},
    "api_v1.scripts_one": {"name": "x"},
    "scripts.one": {"name": "x"},
    "help.page": {"name": "pages"},
    "help.picture": {"kind": "img", "file": "deal.png"},
}
ASKED: Mapping[str, tuple[str, ...]] = {
    "done.show": (
        "from=2026-01-01&text=ромашка",
        "rule=stage_creates_tasks.new_client&ending=done",
        "from=2026-11-01&to=2026-11-30&person=1&ending=unsent",
        "channel=mail&ending=trouble",
        "source=timer&from=2026-01-01",
        "source=unknown&from=2026-01-01",
    ),
    "deal.find": ("deal=ромашка 77", "deal=лютиков", "deal=%2B79160000077"),
    "ads.one": ("campaign=Кампания 1",),
    "failed.show": ("kind=create_task",),
    "violations.show": ("from=2026-01-01",),
    "enquiries.show": ("state=asked", "text=79160000077"),
    # On the first days of a month the present one is all but empty.
    "pay.show": ("month={last_month}",),
    "pay.as_text": ("month={last_month}",),
    "pay.as_workbook": ("month={last_month}",),
    "kpi.show": ("span=month&day={last_month}-15",),
}
"""Endpoint → what is asked for behind the question mark, besides nothing. ``last_month``: as 2026-11."""


def addresses(app: Flask) -> Iterator[tuple[str, str]]:
    """Of everything that is there to be read: its endpoint and an address."""
    adapter = app.url_map.bind("localhost")
    last_month = datetime.now(UTC).date().replace(day=1) - timedelta(days=1)
    for rule in sorted(app.url_map.iter_rules(), key=str):
        if "GET" not in (rule.methods or ()) or rule.endpoint in ("static", "intake.take_in"):
            continue
        named = {**NAMED, **NAMED_ELSEWHERE.get(rule.endpoint, {})}
        address = adapter.build(rule.endpoint, {name: named.get(name, 1) for name in rule.arguments})
        yield rule.endpoint, address
        for query in ASKED.get(rule.endpoint, ()):
            yield rule.endpoint, f"{address}?{query.format(last_month=f'{last_month:%Y-%m}')}"
