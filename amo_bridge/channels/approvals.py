"""Approvals: a task is sent to its person with two buttons; a press finishes it with that result.

::

    open task ─► asking ─► asked ─► pressed ─► closed      the message says what became of it
                    │                  └─► refused         amoCRM would not have it
                    └─► refused                            the person can't be written to

It is steered by the mirror's open tasks, so it does not matter who has set a task, whether it was handed on, or whether
it was finished in amoCRM meanwhile. A press counts if whoever pressed is the one who is to do the task, or the head;
anybody else is answered, and nothing is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, false, select, update
from sqlalchemy.engine import Connection

from amo_bridge.channels.messengers import Button, cut
from amo_bridge.channels.presses import NO_BUTTON, NOBODY, ButtonSubject, Judged, Press, StaffBots, user_of
from amo_bridge.clock import Clock
from amo_bridge.config.channels import ApprovalsSection, Way
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.outbox import Planned
from amo_bridge.engine.people import HEAD, Reach, ReachablePerson
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.write_results import BY_USER
from amo_bridge.errors import ChannelDown, ChannelError, ChannelRefused, UnknownName
from amo_bridge.logs import log
from amo_bridge.mirror.deals import Mirror
from amo_bridge.storage.database import AccountStore, insert_new, notify
from amo_bridge.storage.tables import GAVE_UP, approvals, outbox, tasks
from amo_bridge.text.names import same_name, starts_with

JOURNAL = "согласование кнопкой"
RULE = "approvals"
MOST_TEXT = 1500
# Whoever could not be written to may have started the bot since.
ASKED_AGAIN_AFTER = timedelta(days=1)
_NUMBER = re.compile(r"[0-9]{1,18}")


def _is_asked_now(row: Row[Any], now: datetime) -> bool:
    """Is a message about a task that is known already to go out?"""
    if row.state == "refused":
        return not row.message and row.due_at + ASKED_AGAIN_AFTER.total_seconds() <= now.timestamp()
    return bool(row.state == "asking" and row.due_at <= now.timestamp())


class Approvals(ButtonSubject):
    """Tasks that are decided by a button. ``bots``: those whose presses come in."""

    mark = "ap"

    def __init__(
        self,
        section: ApprovalsSection,
        bots: StaffBots,
        store: AccountStore,
        client: CrmClient,
        rule_engine: Callable[[], RuleEngine],
        clock: Clock,
    ) -> None:
        self._section = section
        self._bots = bots
        self._store = store
        self._client = client
        self._rule_engine = rule_engine
        self._clock = clock
        self._mirror = Mirror(store)
        self._journal = Journal(store)

    def run(self) -> int:
        wanted = self._wanted()
        return self._close(wanted) + self._ask(wanted)

    # --- asking ---

    def _wanted(self) -> Mapping[tuple[int, int], Any]:
        """(task, who is to do it) → the open task, of those that are decided by a button."""
        columns = (tasks.c.task_id, tasks.c.entity_id, tasks.c.responsible_user_id, tasks.c.text, tasks.c.due_at)
        # In the words of the index of open tasks; of the others some days' are kept.
        is_open = (self._store.owns(tasks), tasks.c.is_completed == false(), tasks.c.entity_type == "deal")
        with self._store.read() as connection:
            rows = connection.execute(select(*columns).where(*is_open)).all()
        return {
            (row.task_id, row.responsible_user_id): row
            for row in rows
            if any(starts_with(row.text, words) for words in self._section.tasks)
        }

    def _ask(self, wanted: Mapping[tuple[int, int], Row[Any]]) -> int:
        if not wanted:
            return 0
        engine, now = self._rule_engine(), self._clock.now()
        reach = Reach(engine.config.channels, engine.account)
        known = {(row.task_id, row.user_id): row for row in self._rows(("asking", "asked", "pressed", "refused"))}
        records = {
            number: one.record for number, one in self._mirror.get(row.entity_id for row in wanted.values()).items()
        }
        moved = 0
        for key, task in wanted.items():
            row, record = known.get(key), records.get(task.entity_id)
            if record is None or (row is not None and not _is_asked_now(row, now)):
                continue
            if any(same_name(tag, engine.config.bridge.opt_out_tag or "") for tag in record.tags):
                continue
            person = reach.person(task.responsible_user_id)
            if person is None or not self._bots.ways(person) or reach.quiet_until(person, now):
                continue
            moved += self._ask_one(task, record, person)
        return moved

    def _ask_one(self, task: Row[Any], record: DealRecord, person: ReachablePerson) -> int:
        ways = self._bots.ways(person)
        if all(self._bots.is_down(way) for way in ways):
            return 0
        number = self._begin(task)
        yes, no = self._section.yes, self._section.no
        buttons = [Button(yes, f"{self.mark}:{number}:y"), Button(no, f"{self.mark}:{number}:n")]
        refused = []
        waits = ""
        for way in ways:
            if self._bots.is_down(way):
                waits = waits or f"{way} сейчас не отвечает"
                continue
            chat_id = person.chat(way)
            assert chat_id is not None
            try:
                message = self._bots[way].send(chat_id, self._text(way, record, task.text), buttons)
            except ChannelRefused as error:
                refused.append(str(error))
            except ChannelError as error:
                log.warning("an approval waits", task=task.task_id, error=str(error))
                self._bots.fell(way, error)
                waits = str(error)
                if not isinstance(error, ChannelDown):
                    # It may have gone out all the same: not by another way at once.
                    break
            else:
                self._bots.went_out(way)
                self._mark(number, state="asked", way=way, chat_id=chat_id, message=message, words="")
                return 1
        if waits:
            self._mark(number, due_at=self._bots.up_again_at, words=waits)
            return 0
        why = f"«{task.text}» не отправлена с кнопками: {'; '.join(refused)}; задача ждёт в amoCRM"
        with self._store.write() as connection:
            self._mark_in(connection, number, state="refused", words=why, due_at=self._clock.now().timestamp())
            self._journal.note(connection, self._clock.now(), JOURNAL, {record.id: f"{person.user.name}: {why}"})
        return 1

    def _begin(self, task: Row[Any]) -> int:
        """The row of a message, there before it is sent."""
        same = (
            self._store.owns(approvals),
            approvals.c.task_id == task.task_id,
            approvals.c.user_id == task.responsible_user_id,
        )
        row = {
            "account": self._store.account_id, "task_id": task.task_id, "deal_id": task.entity_id,
            "user_id": task.responsible_user_id, "way": "", "chat_id": 0, "message": "", "state": "asking",
            "words": "", "due_at": 0.0,
        }  # fmt: skip
        with self._store.write() as connection:
            insert_new(connection, approvals, [row])
            # Whoever gets a task back is asked again.
            connection.execute(update(approvals).where(*same).values(state="asking"))
            return int(connection.execute(select(approvals.c.id).where(*same)).scalar_one())

    def _text(self, way: Way, record: DealRecord, text: str, more: str = "") -> str:
        shown = cut(text, MOST_TEXT)[0]
        url = deal_url(self._rule_engine().config.account.url, record.id)
        return self._bots[way].texts(record.name or "", f"{shown}\n\n{more}".rstrip(), url)[0]

    # --- what became of it ---

    def _close(self, wanted: Mapping[tuple[int, int], Row[Any]]) -> int:
        """Messages whose task is finished, gone or somebody else's by now say so, without their buttons."""
        moved = 0
        for row in self._rows(("asking", "asked", "pressed", "refused")):
            if row.state == "refused":
                if (row.task_id, row.user_id) not in wanted:
                    # Should he get it back, he is asked as for the first time.
                    self._mark(row.id, state="closed")
                continue
            if row.state == "pressed" and (error := self._failed(row)):
                more = f"Не вышло записать «{row.words}»: {error}. Завершите задачу в amoCRM сами."
                moved += self._end(row, more, "refused")
            elif (row.task_id, row.user_id) not in wanted:
                moved += self._end(row, self._outcome(row), "closed")
        return moved

    def _outcome(self, row: Row[Any]) -> str:
        """What became of a task that is not open with this person any more (Russian)."""
        query = select(tasks).where(self._store.owns(tasks), tasks.c.task_id == row.task_id)
        with self._store.read() as connection:
            task = connection.execute(query).first()
        if row.state == "pressed" and (task is None or not task.result or row.words.startswith(f"{task.result} — ")):
            return f"{row.words}. Записано в amoCRM."
        if task is None:
            return "Задачи больше нет."
        if task.is_completed:
            return f"Задача завершена в amoCRM: {task.result or 'без результата'}."
        if task.responsible_user_id != row.user_id:
            return f"Задача передана: {self._name(task.responsible_user_id)}."
        return "Задача переименована: решите её в amoCRM."

    def _end(self, row: Row[Any], more: str, state: str) -> int:
        record = self._mirror.record(row.deal_id)
        if row.message and row.way in self._bots and record is not None:
            if self._bots.is_down(row.way):
                return 0
            try:
                self._bots[row.way].edit(row.chat_id, row.message, self._text(row.way, record, self._shown(row), more))
            except ChannelRefused as error:
                log.warning("a message keeps its old words", task=row.task_id, error=str(error))
            except ChannelError as error:
                log.warning("a message waits for its new words", task=row.task_id, error=str(error))
                self._bots.fell(row.way, error)
                return 0
            else:
                self._bots.went_out(row.way)
        self._mark(row.id, state=state, due_at=self._clock.now().timestamp())
        return 1

    def _shown(self, row: Row[Any]) -> str:
        query = select(tasks.c.text).where(self._store.owns(tasks), tasks.c.task_id == row.task_id)
        with self._store.read() as connection:
            return connection.execute(query).scalar() or f"Задача {row.task_id}"

    def _failed(self, row: Row[Any]) -> str:
        """Why the result could not be written; empty if it was, or may still be."""
        # By the deal: no index knows how a key begins.
        mine = (self._store.owns(outbox), outbox.c.deal_id == row.deal_id, outbox.c.key.startswith(f"{RULE}|{row.id}|"))
        query = select(outbox.c.state, outbox.c.error).where(*mine).order_by(outbox.c.id.desc()).limit(1)
        with self._store.read() as connection:
            effect = connection.execute(query).first()
        return str(effect.error) if effect is not None and effect.state in GAVE_UP else ""

    # --- presses ---

    def expire(self, connection: Connection, press: Press) -> None:
        if (asked := self._asked(press.data)) is not None:
            words = "нажатие ждало больше часа и не засчитано: нажмите ещё раз или завершите задачу в amoCRM"
            self._journal.note(connection, self._clock.now(), JOURNAL, {asked.deal_id: words})

    def judge(self, press: Press) -> Judged:
        asked = self._asked(press.data)
        if asked is None:
            return Judged(NO_BUTTON)
        user_id = user_of(press, self._rule_engine())
        if user_id is None:
            return Judged(NOBODY.format(press.person))
        task = tasks_by_ids(self._client, [asked.task_id]).get(asked.task_id)
        record = self._mirror.record(asked.deal_id) or DealRecord(id=asked.deal_id)
        if task is None:
            return Judged("Задачи больше нет", self._text(press.way, record, self._shown(asked), "Задачи больше нет."))
        if asked.state == "pressed" and not task.is_completed:
            return Judged(f"Уже решено: {asked.words}")
        if task.is_completed:
            more = f"Задача завершена в amoCRM: {task.result or 'без результата'}."
            return Judged("Задача уже завершена, ничего не изменено", self._text(press.way, record, task.text, more))
        if user_id != task.responsible_user_id and not self._is_head(user_id, record):
            name = self._name(task.responsible_user_id)
            if user_id != asked.user_id:
                return Judged(f"Эту задачу решает {name}: ничего не изменено")
            more = f"Задача передана: {name}."
            return Judged(f"Задача передана: {name}", self._text(press.way, record, task.text, more))
        return self._decided(press, asked, task, record, user_id)

    def _decided(self, press: Press, asked: Row[Any], task: TaskRecord, record: DealRecord, user_id: int) -> Judged:
        result = self._section.yes if press.data.endswith(":y") else self._section.no
        words = f"{result} — {self._name(user_id)}"
        body = {"id": task.id, "is_completed": True, "result": {"text": result}}
        now = self._clock.now().timestamp()
        effect = Effect(
            "change_task", asked.deal_id, body, f"задача «{task.text}» закрыта кнопкой: {words}",
            not_before=now, extra={BY_USER: user_id},
        )  # fmt: skip
        text = self._text(press.way, record, task.text, f"{words}. Записывается в amoCRM…")
        number, deal_id = asked.id, asked.deal_id

        def keep(connection: Connection, press_id: int) -> None:
            at = self._clock.now()
            self._mark_in(connection, number, state="pressed", words=words)
            planned = Planned(None, RULE, f"{RULE}|{number}|{press_id}", effect)
            insert_new(connection, outbox, [planned.row(self._store.account_id, at)])
            self._journal.note(connection, at, JOURNAL, {deal_id: words})
            notify(connection, self._store.account_id)

        return Judged(f"{result}: записывается в amoCRM", text, keep)

    def _asked(self, data: str) -> Row[Any] | None:
        mark, _, rest = data.partition(":")
        number = rest.partition(":")[0]
        if mark != self.mark or not _NUMBER.fullmatch(number) or not data.endswith((":y", ":n")):
            return None
        mine = (self._store.owns(approvals), approvals.c.id == int(number))
        with self._store.read() as connection:
            return connection.execute(select(approvals).where(*mine)).first()

    def _is_head(self, user_id: int, record: DealRecord) -> bool:
        try:
            return self._rule_engine().people.user_id(HEAD, record) == user_id
        except UnknownName:
            return False

    def _name(self, user_id: int) -> str:
        users = self._rule_engine().account.users
        return next((user.name for user in users if user.id == user_id), f"пользователь {user_id}")

    # --- rows ---

    def _rows(self, states: Sequence[str]) -> list[Row[Any]]:
        wanted = (self._store.owns(approvals), approvals.c.state.in_(states))
        with self._store.read() as connection:
            return list(connection.execute(select(approvals).where(*wanted).order_by(approvals.c.id)))

    def _mark(self, number: int, **values: object) -> None:
        with self._store.write() as connection:
            self._mark_in(connection, number, **values)

    def _mark_in(self, connection: Connection, number: int, **values: object) -> None:
        connection.execute(update(approvals).where(approvals.c.id == number).values(**values))
