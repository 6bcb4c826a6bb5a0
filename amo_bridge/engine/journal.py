"""Events in the words of the people who read the journal (Russian)."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Row, insert, select
from sqlalchemy.engine import Connection

from amo_bridge import events as ev
from amo_bridge.dates.duration import describe_step
from amo_bridge.engine.dispatcher import Verdict
from amo_bridge.engine.history import outcome
from amo_bridge.events import Event
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import journal, outbox

DIRECTION = {"in": "входящий", "out": "исходящий"}
LETTER = {"in": "входящее письмо", "out": "исходящее письмо"}
CHAT = {"in": "входящее сообщение", "out": "исходящее сообщение"}
ANSWERED_BY = {"call": "звонок", "mail": "письмо", "chat": "сообщение в чате", "sms": "SMS"}


def _stage(event: ev.StageEntered) -> str:
    if event.is_new:
        return f"новая сделка на этапе «{event.stage_name}»"
    came_from = f" с «{event.from_stage_name}»" if event.from_stage_name else ""
    return f"сделка пришла на этап «{event.stage_name}»{came_from}"


def _field(event: ev.FieldChanged) -> str:
    if event.new is None:
        return f"поле «{event.field_name}» очищено (было {event.old})"
    was = f" (было {event.old})" if event.old is not None else ""
    return f"поле «{event.field_name}» = {event.new}{was}"


def _call(event: ev.CallLogged) -> str:
    on = " (на карточке контакта)" if event.deal_id is not None else ""
    return f"{DIRECTION.get(event.direction, '')} звонок, {event.seconds} с{on}".strip()


def _contact_date(event: ev.ContactDateChanged) -> str:
    if event.new is None:
        return f"поле контакта «{event.field_name}» очищено (было {event.old})"
    return f"поле контакта «{event.field_name}» = {event.new} (было {event.old})"


WORDS: Mapping[type[ev.Event], str | Callable[[Any], str]] = {
    ev.DealAdded: "сделка создана",
    ev.DealUpdated: "сделка изменена",
    ev.DealMoved: "смена этапа",
    ev.DealReassigned: "смена ответственного",
    ev.DealRestored: "сделка восстановлена",
    ev.DealDeleted: "сделка удалена",
    ev.PipelineTriggerFired: lambda event: f"хук Digital Pipeline: {event.trigger}",
    ev.TaskAdded: lambda event: f"задача поставлена: «{event.text or ''}»",
    ev.TaskUpdated: lambda event: f"задача изменена: «{event.text or ''}»",
    ev.TaskCompleted: lambda event: f"задача выполнена: «{event.text or ''}»",
    ev.TaskDeleted: "задача удалена",
    ev.NoteAdded: "добавлено примечание",
    ev.FileAttached: lambda event: f"загружен файл «{event.file_name}»",
    ev.CallLogged: _call,
    ev.SmsLogged: lambda event: f"{DIRECTION.get(event.direction, '')} SMS".strip(),
    ev.ClientUnsubscribed: "клиент отписался от рассылок по ссылке в письме",
    ev.ContactDateChanged: _contact_date,
    ev.SeriesLetterDue: lambda event: f"серия «{event.series}»: пора отправить письмо {event.number + 1}",
    ev.MailLogged: lambda event: f"{LETTER.get(event.direction, 'письмо')} «{event.subject}»",
    ev.MessageReceived: lambda event: f"{CHAT.get(event.direction, 'сообщение')} в чате",
    ev.ClientAnswered: lambda event: f"клиент ответил: {ANSWERED_BY.get(event.by, event.by)}",
    ev.StageEntered: _stage,
    ev.FieldChanged: _field,
    ev.ResponsibleChanged: "у сделки новый ответственный",
    ev.StepDue: lambda event: f"наступил срок шага «{describe_step(event.step)}»",
    ev.TaskFinished: lambda event: f"закрыта задача «{event.text}»",
    ev.TaskAnswered: lambda event: f"ответ на задачу «{event.text}»: {event.result or 'пусто'}",
    ev.TaskRescheduled: lambda event: f"сдвинут срок задачи «{event.text}»",
    ev.TaskRemoved: lambda event: f"удалена задача «{event.text}»",
}


def in_words(event: ev.Event) -> str:
    words = WORDS.get(type(event), type(event).__name__)
    told = words if isinstance(words, str) else words(event)
    return f"{_found_by(event)}{told}"


def _found_by(event: ev.Event) -> str:
    """Who reads the journal after a downtime wants to know what no hook brought. What was concluded from it bears no
    mark: that stands on the line before."""
    if isinstance(event, ev.DealObserved):
        return ""
    if event.caught_up:
        return "сверка: "
    names_its_hook = isinstance(event, ev.PipelineTriggerFired)
    return "хук: " if isinstance(event, ev.DealReported) and not names_its_hook else ""


# The journal: for every event and every rule that heard it, what was decided, and why nothing was.


@dataclass(frozen=True)
class Entry:
    """One line of a deal's history. ``rule`` is empty for the event itself. ``effects``: (words, state, error)."""

    at: datetime
    event_id: int | None
    what: str
    rule: str
    clause: str
    verdict: str
    reason: str
    effects: tuple[tuple[str, str, str], ...] = ()

    @property
    def outcome(self) -> str:
        """The verdict, or what became of it (engine/history.py)."""
        return outcome(self.verdict, (state for _, state, _ in self.effects), self.reason)


class Journal:
    def __init__(self, store: Store, account: int) -> None:
        self._store = store
        self._account = account

    def write(self, connection: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Keep what ``rows_of`` made, of as many events as may be."""
        if rows:
            connection.execute(insert(journal), rows)

    def rows_of(
        self,
        at: datetime,
        event_id: int,
        deal_id: int | None,
        told: Event,
        verdicts: Sequence[Verdict],
        note: str = "",
    ) -> list[dict[str, Any]]:
        """One row for what came, one for each rule that heard of it."""
        common = {"account": self._account, "at": at.timestamp(), "event_id": event_id, "deal_id": deal_id}
        came = [
            {
                **common,
                "what": in_words(told),
                "rule": None,
                "clause": "",
                "verdict": "came",
                "reason": note,
                "actions": "[]",
            }
        ]
        return came + [
            {
                **common,
                "what": in_words(verdict.event),
                "rule": verdict.rule.name,
                "clause": verdict.rule.clause,
                "verdict": verdict.outcome,
                "reason": verdict.reason,
                "actions": json.dumps(
                    [words for effect in verdict.effects for words in effect.all_words], ensure_ascii=False
                ),
            }
            for verdict in verdicts
        ]

    def note(self, connection: Connection, at: datetime, deal_id: int, what: str, words: str) -> None:
        """Something that no rule has decided: a person's import, say."""
        row = {
            "account": self._account, "at": at.timestamp(), "event_id": None, "deal_id": deal_id, "what": what,
            "rule": None, "clause": "", "verdict": "came", "reason": words, "actions": "[]",
        }  # fmt: skip
        self.write(connection, [row])

    def of_deal(self, deal_id: int) -> list[Entry]:
        """A deal's history, oldest first, with what became of each effect."""
        with self._store.read() as connection:
            rows = connection.execute(
                select(journal)
                .where(journal.c.account == self._account, journal.c.deal_id == deal_id)
                .order_by(journal.c.id)
            ).all()
            effects = connection.execute(
                select(outbox.c.event_id, outbox.c.rule, outbox.c.payload, outbox.c.state, outbox.c.error)
                .where(outbox.c.account == self._account, outbox.c.deal_id == deal_id)
                .order_by(outbox.c.id)
            ).all()
        became: dict[tuple[int | None, str], list[tuple[str, str, str]]] = {}
        for effect in effects:
            words = json.loads(effect.payload)["words"]
            became.setdefault((effect.event_id, effect.rule), []).append((words, effect.state, effect.error or ""))
        return [self._entry(row, became) for row in rows]

    def _entry(self, row: Row[Any], became: dict[tuple[int | None, str], list[tuple[str, str, str]]]) -> Entry:
        effects: Iterable[tuple[str, str, str]] = ()
        if row.verdict in ("acts", "held"):
            effects = became.get((row.event_id, row.rule), [])
        elif row.verdict == "would_act":
            effects = [(words, "dry", "") for words in json.loads(row.actions)]
        return Entry(
            at=datetime.fromtimestamp(row.at, UTC),
            event_id=row.event_id,
            what=row.what,
            rule=row.rule or "",
            clause=row.clause,
            verdict=row.verdict,
            reason=row.reason,
            effects=tuple(effects),
        )
