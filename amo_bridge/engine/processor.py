"""A call that amoCRM wrote on a contact's card, told on the deals that it is about.

The telephone exchange finds the person by his phone: with one open deal the call stands on the deal, with several on
the person (amoCRM docs, calls-api), and many integrations always write it there. It is about the open deals whose main
contact he is: whoever else is on a deal, a blogger on dozens of them, is not the client who was called.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Row
from structlog.contextvars import bound_contextvars

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import DATE_CHANGED, DELETED, TaskChange, task_changes
from amo_bridge.crm.reads import deals_by_ids, tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine.change_detection import OBSERVED, is_news
from amo_bridge.engine.data_loader import DataLoader, needs_of
from amo_bridge.engine.data_sources import SourceContext
from amo_bridge.engine.dispatcher import EvaluationContext, Verdict
from amo_bridge.engine.event_queue import TIME_TO_ANSWER, OpenEvents
from amo_bridge.engine.gates import RollbackHistory
from amo_bridge.engine.recorder import Judged, Plan, Recorder
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.events import (
    CallLogged,
    DealDeleted,
    DealReported,
    Event,
    TaskAnswered,
    TaskDeleted,
    TaskReported,
    TaskUpdated,
)
from amo_bridge.events.codec import from_json
from amo_bridge.mirror.contact_refresh import ContactRefresher
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.database import Store


class ClientCalls:
    """Whose deals they are the index of contacts knows. Only somebody whom it has never met is asked for, all of them
    in one request."""

    def __init__(self, mirror: Mirror, contacts: ContactRefresher) -> None:
        self._mirror = mirror
        self._contacts = contacts

    def on_deals(self, told: Iterable[tuple[int, Event]]) -> dict[int, tuple[CallLogged, ...]]:
        """Event's number → the same call on each deal; calls that are about no deal are left out. Raises CrmError."""
        calls = {number: event for number, event in told if isinstance(event, CallLogged) and _is_on_contact(event)}
        if not calls:
            return {}
        owners = {event.entity_id or 0 for event in calls.values()}
        self._contacts.meet(owners)
        deals = {one.id: self._his(one.id, one.deal_ids) for one in self._contacts.index.get(owners).values()}
        on_deals = {
            number: tuple(replace(event, deal_id=deal_id) for deal_id in deals.get(event.entity_id or 0, ()))
            for number, event in calls.items()
        }
        return {number: some for number, some in on_deals.items() if some}

    def _his(self, contact_id: int, deal_ids: Sequence[int]) -> list[int]:
        """Without those that are known to be none of his. What the mirror has not met is decided by a fresh read."""
        known = self._mirror.get(deal_ids)
        return [one for one in deal_ids if one not in known or not _why_not(contact_id, known[one].record)]


def why_not_about(event: Event, record: DealRecord) -> str:
    """Why this call, written on a contact's card, is not about the deal after all; empty if it is, and for whatever is
    no such call."""
    if not isinstance(event, CallLogged) or event.deal_id is None or event.entity_id is None:
        return ""
    return _why_not(event.entity_id, record)


def _why_not(contact_id: int, record: DealRecord) -> str:
    if record.status_id in (WON, LOST):
        return "звонок на карточке контакта, а сделка закрыта"
    return "" if record.main_contact_id == contact_id else "звонок на карточке контакта, который в сделке не главный"


def _is_on_contact(call: CallLogged) -> bool:
    return call.entity_type == "contact" and None not in (call.entity_id, call.note_id) and call.deal_id is None


# The tasks that this round's events speak of: as they are now, and who did it where a hook does not tell. Each is read
# in one go when the first rule cares.


class TasksNow:
    def __init__(self, client: CrmClient, events: Sequence[Event]) -> None:
        self._client = client
        self._ids = {event.task_id for event in events if isinstance(event, TaskReported | TaskAnswered)}
        self._found: dict[int, TaskRecord] | None = None
        nameless = (event for event in events if isinstance(event, TaskDeleted | TaskUpdated) and event.user_id is None)
        self._nameless = sorted({event.task_id for event in nameless})
        self._doers: dict[tuple[int, str], list[TaskChange]] | None = None

    def get(self, task_id: int) -> TaskRecord | None:
        """None if there is no such task any more. Raises CrmError."""
        if self._found is None:
            self._found = tasks_by_ids(self._client, self._ids | {task_id})
        return self._found.get(task_id)

    def with_doer(self, event: TaskReported) -> TaskReported:
        """A deleted task's hook has nothing but the id, and a changed date's often no author: amoCRM's events list
        knows, if it is not too late with it. Of several changes, ours among them, the one to the date that the event
        tells counts. Raises CrmError."""
        kind = DELETED if isinstance(event, TaskDeleted) else DATE_CHANGED if event.old_due is not None else None
        if kind is None or event.user_id is not None:
            return event
        if self._doers is None:
            self._doers = task_changes(self._client, self._nameless)
        doers = self._doers.get((event.task_id, kind), [])
        done = next((one for one in doers if one.due == event.due), doers[0] if doers else None)
        return replace(event, user_id=done.user_id, at=event.at or done.at) if done else event


# Planning: the oldest open events of many deals, judged on fresh reads; ``recording`` keeps what was decided.

BATCH = 1000


class EventProcessor:
    """``brain`` may be replaced between rounds. ``met_unknown`` is set when an event spoke of something the account's
    copy does not know; whoever runs the planner then reads the account again. ``time_to_answer``: see Recorder."""

    def __init__(
        self,
        store: Store,
        account_id: int,
        client: CrmClient,
        rule_engine: RuleEngine,
        clock: Clock,
        contacts: ContactRefresher,
        *,
        time_to_answer: float = TIME_TO_ANSWER,
    ) -> None:
        self.rule_engine = rule_engine
        self.met_unknown = False
        self._store = store
        self._key = account_id
        self._client = client
        self._clock = clock
        self._time_to_answer = time_to_answer
        self._mirror = Mirror(store, account_id)
        self._open = OpenEvents(store, account_id, clock)
        self._put_backs = RollbackHistory(store, account_id, clock)
        self._tasks_now = TasksNow(client, ())
        self._contacts = contacts
        self._calls = ClientCalls(self._mirror, contacts)

    def plan(self) -> int:
        """Judge what is open; returns how many events were dealt with. Raises CrmError if amoCRM can't be read."""
        rows = self._open.oldest(BATCH)
        if not rows:
            return 0
        plan = Plan()
        told = list(_legible(rows, plan))
        self._contacts.hear(event for _, event in told)
        if self.rule_engine.dispatcher.listens_for((CallLogged,)):
            plan.calls = self._calls.on_deals((row.id, event) for row, event in told)
        before = self._mirror.get(deal_id for _, event in told if (deal_id := event.about_deal_id))
        fresh = self._read_fresh(told, before)
        self._tasks_now = TasksNow(self._client, [event for _, event in told])
        around = DataLoader(
            SourceContext(
                self._client, self.rule_engine.account, self._store, self._key, self.rule_engine.config.services
            ),
            fresh,
        )
        self._look_ahead(told, before, fresh, around)
        waiting = {row.deal_id for row in rows if row.id in plan.postponed}
        for row, event in told:
            deal_id = event.about_deal_id
            if deal_id is not None and deal_id in waiting:
                continue
            if not self._judged(row, event, before, fresh, plan, around):
                waiting.add(deal_id)
        Recorder(self._store, self._key, self.rule_engine, self._clock, time_to_answer=self._time_to_answer).record(
            plan
        )
        return len(plan.done)

    def _judged(
        self,
        row: Row[Any],
        event: Event,
        before: dict[int, MirroredDeal],
        fresh: Mapping[int, DealRecord],
        plan: Plan,
        around: DataLoader,
    ) -> bool:
        """Judge one event into the plan. False: later events of the same deal must wait for a next round."""
        try:
            with bound_contextvars(event_id=row.id, deal=row.deal_id):
                verdicts = self._judge(row, event, before, fresh, plan, around)
        except UnknownName as error:
            self.met_unknown = True
            plan.postponed[row.id] = str(error)
        except BridgeError:
            # Not this event's fault: amoCRM or the store does not answer, or somebody else leads.
            raise
        except Exception as error:  # noqa: BLE001 - one poisonous event must not hold up the others; it is kept and shown
            plan.postponed[row.id] = f"{type(error).__name__}: {error}"
        else:
            plan.done.append(row.id)
            return not any(verdict.outcome == "acts" for verdict in verdicts)
        return event.about_deal_id is None

    def _read_fresh(
        self, told: Iterable[tuple[object, Event]], before: Mapping[int, MirroredDeal]
    ) -> dict[int, DealRecord]:
        wanted = {
            deal_id
            for _, event in told
            if (deal_id := event.about_deal_id) and self._needs_read(event, before.get(deal_id))
        }  # fmt: skip
        if not wanted:
            return {}
        return deals_by_ids(self._client, sorted(wanted), filter_enabled=self.rule_engine.account.is_api_filter_enabled)

    def _needs_read(self, event: Event, known: MirroredDeal | None) -> bool:
        if isinstance(event, DealDeleted):
            return False
        if isinstance(event, DealReported) and not self.rule_engine.dispatcher.listens_to(event):
            return known is None or not known.covers(event)
        if isinstance(event, TaskReported) and self._is_watched(event):
            return True
        return self.rule_engine.dispatcher.listens_to(event)

    def _is_watched(self, told: TaskReported) -> bool:
        return is_news(told) and self.rule_engine.dispatcher.listens_for(OBSERVED)

    def _judge(
        self,
        row: Row[Any],
        event: Event,
        before: dict[int, MirroredDeal],
        fresh: Mapping[int, DealRecord],
        plan: Plan,
        around: DataLoader,
    ) -> list[Verdict]:
        deal_id = event.about_deal_id
        if deal_id is None:
            return []
        known, record = before.get(deal_id), fresh.get(deal_id)
        note = self._nothing_to_judge(event, known, record)
        if note:
            if isinstance(event, DealDeleted):
                plan.gone.add(deal_id)
                plan.copies.pop(deal_id, None)
                before.pop(deal_id, None)
            plan.judged.append(Judged(row.id, event, note=note))
            return []
        assert record is not None
        copy = self._copy(event, known, record)
        at_hand = self._case(row, event, known, record)
        verdicts = self.rule_engine.dispatcher.judge(at_hand, around)
        if isinstance(event, DealReported) and copy is not None:
            # Only now: an event that could not be judged must find its change again next time.
            before[deal_id] = plan.copies[deal_id] = copy
        plan.judged.append(Judged(row.id, event, tuple(verdicts), case=at_hand, awaited=self._awaited(event, record)))
        return verdicts

    def _case(self, row: Row[Any], event: Event, known: MirroredDeal | None, record: DealRecord) -> EvaluationContext:
        return EvaluationContext(
            tuple(self._happened(event, known, record)),
            row.key,
            record,
            self.rule_engine.viewer.deal(record, self._copy(event, known, record)),
            before=known.record if known else None,
            put_backs=self._put_backs.counter(record.id, (record.pipeline_id, record.status_id)),
            explanations=self._put_backs.explanations(record.id),
        )

    def _happened(self, event: Event, known: MirroredDeal | None, record: DealRecord) -> Iterator[Event]:
        """The event, and what it turns out to be when it is compared with what was and with what is."""
        if isinstance(event, TaskAnswered):
            # It was waited for: what the task's result is by now.
            settled = self.rule_engine.task_observer.settled(event, self._tasks_now.get(event.task_id))
            if settled is not None:
                yield settled
            return
        yield event
        if isinstance(event, DealReported):
            yield from self.rule_engine.observer.changes(known, record, event)
        elif isinstance(event, TaskReported) and self._is_watched(event):
            now = self._tasks_now.get(event.task_id)
            yield from self.rule_engine.task_observer.changes(self._tasks_now.with_doer(event), now, record)

    def _copy(self, event: Event, known: MirroredDeal | None, record: DealRecord) -> MirroredDeal | None:
        """What the mirror knows of the deal, this event included."""
        return self.rule_engine.observer.copy(known, record, event) if isinstance(event, DealReported) else known

    def _awaited(self, event: Event, record: DealRecord) -> TaskAnswered | None:
        if not isinstance(event, TaskReported) or not self.rule_engine.dispatcher.listens_for((TaskAnswered,)):
            return None
        return self.rule_engine.task_observer.awaited(event, self._tasks_now.get(event.task_id), record)

    def _look_ahead(
        self,
        told: Iterable[tuple[Row[Any], Event]],
        before: Mapping[int, MirroredDeal],
        fresh: Mapping[int, DealRecord],
        around: DataLoader,
    ) -> None:
        """Find out on which deals rules will look around, so that it is read for all of them at once."""
        if not self.rule_engine.dispatcher.has_needs:
            return
        for row, event in told:
            deal_id = event.about_deal_id
            known, record = before.get(deal_id or 0), fresh.get(deal_id or 0)
            if record is None or self._nothing_to_judge(event, known, record):
                continue
            try:
                case = self._case(row, event, known, record)
                around.expect(needs_of(self.rule_engine.dispatcher.asked(case), case.deal), record.id)
            except Exception:  # noqa: BLE001 - it is judged again in earnest, and whatever is wrong with it is told there
                continue

    def _nothing_to_judge(self, event: Event, known: MirroredDeal | None, record: DealRecord | None) -> str:
        """Why no rule needs to be asked; empty if some must be."""
        if isinstance(event, DealDeleted):
            return "сделка удалена"
        if not self._needs_read(event, known):
            return "уже учтено" if isinstance(event, DealReported) else "ни одно правило этого не ждёт"
        if record is None:
            return "сделки нет в аккаунте: удалена, объединена или не видна мосту"
        return why_not_about(event, record)


def _legible(rows: Iterable[Row[Any]], plan: Plan) -> Iterator[tuple[Row[Any], Event]]:
    """The events as they were told. One that this version can't read (a newer one wrote it) is put off."""
    for row in rows:
        try:
            yield row, from_json(json.loads(row.body))
        except ValueError as error:
            plan.postponed[row.id] = str(error)
