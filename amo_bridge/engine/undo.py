"""Undo: what a rule did is taken back by a person, as far as amoCRM lets it be.

A field, a stage, a person in charge gets what it was before; a task is closed or opened again, a contact unlinked, a
tag taken off, and what is not sent yet is not sent. Only what still is as the rule left it: what people have changed
since is theirs. Notes and deals can't be deleted by the API (amoCRM docs), and what went to people stays with them.

Taking back is no event for the rules: nothing follows from it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any

from sqlalchemy import Row, select, update

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import deals_by_ids, tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord, is_written
from amo_bridge.engine.effects import CHANNEL_KINDS, GUARDED, OUTSIDE, UNDONE, Effect, part_now, patched_parts
from amo_bridge.engine.journal import UNDO_KEY, Journal, origin_of
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import GAVE_UP, OPEN_STATES, outbox
from amo_bridge.text.typography import action_words

UNSENT = ("ready", "waiting")
STAYS: Mapping[str, str] = {
    "add_note": "примечание из amoCRM мост удалить не может",
    "add_call": "запись звонка из amoCRM мост удалить не может",
    "create_deal": "сделку из amoCRM мост удалить не может: закройте её сами",
    "create_client_deal": "сделку из amoCRM мост удалить не может: закройте её сами",
    "create_unsorted": "заявку из «Неразобранного» мост убрать не может",
    "create_contact": "контакт из amoCRM мост удалить не может",
    "patch_contact": "изменения контакта мост назад не возвращает",
    "attach_files": "файл мост не открепляет",
}
"""Kind of write → why it stays (Russian)."""


class NotUndoable(BridgeError):
    """There is nothing to take back; the text (Russian) says why."""


@dataclass(frozen=True)
class Undoing:
    """What becomes of one thing that a rule did. ``done``: in words. ``effects``: what takes it back; none if it stays,
    and ``why`` says so (Russian). ``row_id``: of the outbox. ``is_unsent``: it just is not sent. ``tries``: how often
    it was taken back in vain."""

    row_id: int
    done: str
    effects: tuple[Effect, ...] = ()
    why: str = ""
    is_unsent: bool = False
    tries: int = 0

    @property
    def is_possible(self) -> bool:
        return bool(self.effects) or self.is_unsent

    @property
    def words(self) -> str:
        """What will be, for people (Russian)."""
        return "не будет отправлено" if self.is_unsent else "; ".join(one.words for one in self.effects) or self.why


@dataclass
class _Patch:
    """A patch of a deal that takes another one back, while it is put together. ``stays``: what is left, and why."""

    body: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    words: list[str] = field(default_factory=list)
    stays: list[str] = field(default_factory=list)


class Undo:
    """Of one account. Reads amoCRM to see what is still as the rule left it."""

    def __init__(self, store: AccountStore, rule_engine: RuleEngine, client: CrmClient, clock: Clock) -> None:
        self._store = store
        self._rule_engine = rule_engine
        self._client = client
        self._clock = clock

    def preview(self, deal_id: int, event_id: int, rule: str) -> list[Undoing]:
        """What would be taken back, in the order in which it was done. Raises NotUndoable, CrmError."""
        rows = self._rows(deal_id, event_id, rule)
        if not rows:
            raise NotUndoable(f"правило {rule} здесь ничего не сделало")
        record = deals_by_ids(self._client, {deal_id}, filter_enabled=False).get(deal_id)
        bodies = {row.id: json.loads(row.payload)["body"] for row in rows}
        tasks = tasks_by_ids(self._client, {task for row in rows if (task := _task_of(row, bodies[row.id]))})
        tries = self._tries(rows)
        return [self._undoing(row, record, tasks, tries.get(row.id, [])) for row in rows]

    def carry_out(self, deal_id: int, event_id: int, rule: str, who: str) -> list[Undoing]:
        """Take back what can be; once, however often it is asked for. Raises NotUndoable, CrmError."""
        if self._rule_engine.config.bridge.dry_run:
            raise NotUndoable("мост работает вхолостую: в amoCRM он ничего не меняет")
        found = self.preview(deal_id, event_id, rule)
        possible = [one for one in found if one.is_possible]
        if not possible:
            raise NotUndoable("; ".join(dict.fromkeys(one.why for one in found)))
        now = self._clock.now()
        planned = [
            # Of no event: it is no part of what the rule decided then.
            Planned(None, rule, f"{UNDO_KEY}{one.row_id}|{one.tries}", effect)
            for one in possible
            for effect in one.effects
        ]
        unsent = [one.row_id for one in possible if one.is_unsent]
        with self._store.write() as connection:
            # Whoever sends may have been quicker.
            still = (self._store.owns(outbox), outbox.c.id.in_(unsent), outbox.c.state.in_(UNSENT))
            drop = update(outbox).where(*still).values(state="dropped").returning(outbox.c.id)
            dropped = set(connection.execute(drop).scalars())
            added = insert_new(connection, outbox, [one.row(self._store.account_id, now) for one in planned])
            words = [one.words for one in possible if one.row_id in dropped or (one.effects and added)]
            if words:
                Journal(self._store).write(connection, [self._line(deal_id, event_id, rule, who, words)])
            notify(connection, self._store.account_id)
        if not words:
            raise NotUndoable("пока вы смотрели, это уже ушло или отменено: посмотрите ещё раз")
        return found

    def _line(self, deal_id: int, event_id: int, rule: str, who: str, words: Sequence[str]) -> dict[str, Any]:
        clauses = {one.name: one.clause for one in self._rule_engine.config.rules}
        return {
            "account": self._store.account_id, "at": self._clock.now().timestamp(), "event_id": event_id,
            "deal_id": deal_id, "what": "отмена", "rule": rule, "clause": clauses.get(rule, ""), "verdict": "undone",
            "reason": f"{who}: {'; '.join(words)}", "actions": "[]",
            "source": origin_of(who),
        }  # fmt: skip

    # --- what was done ---

    def _rows(self, deal_id: int, event_id: int, rule: str) -> list[Row[Any]]:
        mine = (
            self._store.owns(outbox),
            outbox.c.deal_id == deal_id,
            outbox.c.event_id == event_id,
            outbox.c.rule == rule,
        )
        with self._store.read() as connection:
            return list(connection.execute(select(outbox).where(*mine).order_by(outbox.c.id)))

    def _tries(self, rows: Sequence[Row[Any]]) -> dict[int, list[Row[Any]]]:
        """Row → what was sent to take it back, the oldest first."""
        mine = (self._store.owns(outbox), outbox.c.deal_id == rows[0].deal_id, outbox.c.key.startswith(UNDO_KEY))
        found: dict[int, list[Row[Any]]] = {}
        with self._store.read() as connection:
            for one in connection.execute(select(outbox).where(*mine).order_by(outbox.c.id)):
                found.setdefault(undone_row(one.key), []).append(one)
        return found

    def _undoing(
        self, row: Row[Any], record: DealRecord | None, tasks: Mapping[int, TaskRecord], tries: Sequence[Row[Any]]
    ) -> Undoing:
        payload = json.loads(row.payload)
        done = action_words(payload["words"])
        if row.state in UNSENT:
            return Undoing(row.id, done, is_unsent=True)
        if row.state != "done":
            return Undoing(row.id, done, why=_of_state(row.state))
        if row.error:
            # What was not needed any more, or was a person's by then, stands as done too.
            return Undoing(row.id, done, why=f"и не было сделано: {row.error}")
        if tries and (why := _of_try(tries[-1])):
            return Undoing(row.id, done, why=why)
        return replace(self._of_kind(row, record, tasks, payload, done), tries=len(tries))

    def _of_kind(
        self,
        row: Row[Any],
        record: DealRecord | None,
        tasks: Mapping[int, TaskRecord],
        payload: Mapping[str, Any],
        done: str,
    ) -> Undoing:
        if row.kind in OUTSIDE:
            return Undoing(row.id, done, why=f"уже ушло: {CHANNEL_KINDS[OUTSIDE[row.kind]].label}")
        if record is None or record.is_deleted:
            return Undoing(row.id, done, why="сделки в amoCRM больше нет")
        if row.kind == "patch_deal":
            return self._of_patch(row, done, payload, record)
        if row.kind in ("create_task", "change_task"):
            return self._of_task(row, done, payload, tasks)
        if row.kind == "link_contact":
            return self._of_link(row, done, payload["body"], record)
        return Undoing(row.id, done, why=STAYS.get(row.kind, "этого мост назад не возвращает"))

    # --- a deal ---

    def _of_patch(self, row: Row[Any], done: str, payload: Mapping[str, Any], record: DealRecord) -> Undoing:
        patch = _Patch()
        body = payload["body"]
        if body.get("status_id") is not None:
            self._stage(patch, payload, record)
        before = payload.get("before") or {}
        for part, wanted in patched_parts("patch_deal", body).items():
            self._part(patch, part, wanted, before, record)
        self._tags(patch, body, record)
        if not patch.body:
            return Undoing(row.id, done, why="; ".join(patch.stays) or "этого мост назад не возвращает")
        words = "; ".join([*patch.words, *(f"остаётся: {one}" for one in patch.stays)])
        moves = "status_id" in patch.body
        effect = Effect(
            "patch_deal", record.id, {"id": record.id, **patch.body}, words, before=patch.before or None,
            expects=(record.pipeline_id, record.status_id) if moves else None, rolls_back=moves,
            not_before=self._clock.now().timestamp(),
        )  # fmt: skip
        return Undoing(row.id, done, (effect,))

    def _stage(self, patch: _Patch, payload: Mapping[str, Any], record: DealRecord) -> None:
        body, account = payload["body"], self._rule_engine.account
        came_from = payload.get("expects")
        if not came_from or not account.has_stage(*came_from):
            patch.stays.append("этап: прежнего мост не знает")
        elif (record.pipeline_id, record.status_id) != (body.get("pipeline_id"), body["status_id"]):
            patch.stays.append("этап: сделка уже на другом")
        else:
            patch.body |= {"pipeline_id": came_from[0], "status_id": came_from[1]}
            patch.words.append(f"этап → «{account.stage_of(*came_from).title}»")
            if came_from[1] == LOST:
                patch.stays.append("причину отказа amoCRM забыла, впишите её сами")

    def _part(self, patch: _Patch, part: str, wanted: Any, before: Mapping[str, Any], record: DealRecord) -> None:
        current, name = part_now(record, part), self._name(part)
        is_ours = is_written(wanted, current) if isinstance(wanted, list) else wanted == current
        if not is_ours:
            patch.stays.append(f"{name}: изменено с тех пор")
        elif part not in before or any(isinstance(one, Mapping) for one in _values(before[part])):
            patch.stays.append(f"{name}: прежнего значения мост не знает")
        else:
            self._put(patch, part, before[part])
            patch.before[part] = current
            patch.words.append(f"{name}: как было")

    def _put(self, patch: _Patch, part: str, value: Any) -> None:
        if not part.isdigit():
            patch.body[part] = value
            return
        values = [{"value": one} for one in _values(value)] or None
        patch.body.setdefault("custom_fields_values", []).append({"field_id": int(part), "values": values})

    def _tags(self, patch: _Patch, body: Mapping[str, Any], record: DealRecord) -> None:
        added = [one for one in body.get("tags_to_add") or () if one["name"] in record.tags]
        removed = [one for one in body.get("tags_to_delete") or () if one["name"] not in record.tags]
        if added:
            patch.body["tags_to_delete"] = added
        if removed:
            patch.body["tags_to_add"] = removed
        names = [one["name"] for one in (*added, *removed)]
        if names:
            patch.words.append(f"теги как были: {', '.join(names)}")

    def _name(self, part: str) -> str:
        if words := GUARDED["patch_deal"].get(part):
            return words.split()[0]
        names = (one.name for one in self._rule_engine.account.all_fields if str(one.id) == part)
        return f"поле «{next(names, part)}»"

    def _of_link(self, row: Row[Any], done: str, body: Mapping[str, Any], record: DealRecord) -> Undoing:
        contact = int(body["to_entity_id"])
        if contact not in record.contact_ids:
            return Undoing(row.id, done, why="контакт уже откреплён")
        effect = Effect(
            "unlink_contact", record.id, dict(body), f"контакт {contact} откреплён",
            not_before=self._clock.now().timestamp(),
        )  # fmt: skip
        return Undoing(row.id, done, (effect,))

    # --- a task ---

    def _of_task(
        self, row: Row[Any], done: str, payload: Mapping[str, Any], tasks: Mapping[int, TaskRecord]
    ) -> Undoing:
        body = payload["body"]
        task = tasks.get(_task_of(row, body) or 0)
        if task is None:
            return Undoing(row.id, done, why="задачи в amoCRM больше нет")
        if row.kind == "create_task":
            if task.is_completed:
                return Undoing(row.id, done, why="задача уже закрыта")
            if not _is_as_set(task, body):
                return Undoing(row.id, done, why="задачу с тех пор изменили")
            change: dict[str, Any] = {"is_completed": True, "result": {"text": "Отменено"}}
            return self._change(row, done, task, change, f"задача „{task.text}“ закрыта")
        if body.get("is_completed"):
            if not task.is_completed:
                return Undoing(row.id, done, why="задача уже снова открыта")
            return self._change(row, done, task, {"is_completed": False}, f"задача „{task.text}“ снова открыта")
        return self._of_changed(row, done, payload, task)

    def _of_changed(self, row: Row[Any], done: str, payload: Mapping[str, Any], task: TaskRecord) -> Undoing:
        before, change = payload.get("before") or {}, {}
        for part, wanted in patched_parts("change_task", payload["body"]).items():
            if part_now(task, part) == wanted and part in before:
                change[part] = before[part]
        if not change:
            return Undoing(row.id, done, why="задача изменена с тех пор, или прежнего мост не знает")
        return self._change(row, done, task, change, f"задача „{task.text}“: как была")

    def _change(self, row: Row[Any], done: str, task: TaskRecord, change: Mapping[str, Any], words: str) -> Undoing:
        effect = Effect(
            "change_task", row.deal_id, {"id": task.id, **change}, words,
            not_before=self._clock.now().timestamp(), extra={UNDONE: True},
        )  # fmt: skip
        return Undoing(row.id, done, (effect,))


def undone_row(key: str) -> int:
    """The row of the outbox that one with this key takes back."""
    return int(key.split("|")[1])


def _of_try(tried: Row[Any]) -> str:
    """Why it is not taken back once more; empty if it may be: the last time it came to nothing."""
    if tried.state in OPEN_STATES:
        return "уже отменяется"
    if tried.state in GAVE_UP:
        return "отмена не прошла: решите на странице «Не выполнено»"
    return "" if tried.error or tried.state == "dropped" else "уже отменено"


def _is_as_set(task: TaskRecord, body: Mapping[str, Any]) -> bool:
    """Is the task still what the rule has made?"""
    now = {
        "text": task.text,
        "responsible_user_id": task.responsible_user_id,
        "complete_till": int(task.complete_till.timestamp()),
    }
    return all(body[name] == value for name, value in now.items() if name in body)


def _values(value: Any) -> Iterator[Any]:
    yield from value if isinstance(value, list) else [value]


def _task_of(row: Row[Any], body: Mapping[str, Any]) -> int | None:
    """The task that it made or changed."""
    if row.kind == "change_task":
        return int(body["id"])
    if row.kind != "create_task" or row.state != "done":
        return None
    number = json.loads(row.result or "{}").get("id")
    return int(number) if number else None


def _of_state(state: str) -> str:
    return {
        "failed": "не сделано: решите на странице «Не выполнено»",
        "unknown": "неизвестно, сделано ли: решите на странице «Не выполнено»",
        "unsent": "и не было сделано",
        "dropped": "и не было сделано",
    }.get(state, "сейчас отправляется: попробуйте через минуту")
