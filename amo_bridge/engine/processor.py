"""Event processor: evaluates the rules on open events, their deals freshly read.

A webhook is only a hint. What happened to a deal or a task is found by comparing a fresh read with the mirror
(``change_detection``); the event itself says when and who.
"""

from __future__ import annotations

import json
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import field, replace
from typing import Any, NamedTuple

from sqlalchemy import Row

from amo_bridge.clock import Clock
from amo_bridge.crm.account import LOST, WON
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.events_api import DATE_CHANGED, DELETED, TaskChange, task_changes
from amo_bridge.crm.reads import deals_by_ids, tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord
from amo_bridge.engine.change_detection import OBSERVED_TASK_EVENTS, may_be_observed
from amo_bridge.engine.data_loader import DataLoader
from amo_bridge.engine.data_sources import SourceContext, texts_of_rules
from amo_bridge.engine.deal_view import DEAL_GONE, deal_to_come
from amo_bridge.engine.dispatcher import EarlyAnswers, EvaluationContext, Verdict
from amo_bridge.engine.effects import OUTSIDE
from amo_bridge.engine.event_queue import ANSWER_DELAY_SECONDS, OpenEvents, WaitingEvent, WaitingEvents
from amo_bridge.engine.freshness import NewDeals
from amo_bridge.engine.gates import RollbackHistory
from amo_bridge.engine.recorder import BatchResult, ProcessedEvent, Recorder
from amo_bridge.engine.rule_engine import CurrentRules, RuleEngine
from amo_bridge.engine.task_ends import EndingTasks
from amo_bridge.errors import BridgeError, UnknownName
from amo_bridge.events import (
    CallLogged,
    DealDeleted,
    DealReported,
    EnquiryReceived,
    Event,
    FileAttached,
    NoteAdded,
    TaskAnswered,
    TaskDeleted,
    TaskReported,
    TaskUpdated,
)
from amo_bridge.events.base import from_json
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import with_facts
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.mirror.deals import Mirror, MirroredDeal
from amo_bridge.storage.accounts import Cursors, RestoredCopy
from amo_bridge.storage.database import AccountStore

# --- tasks as they are now ------------------------------------------------------------------------------------------


class CurrentTasks:
    """The tasks that the events of a batch are about, as they are now, and who changed them where a webhook does not
    say. All are read in one request when the first is asked for. ``set_as``: with which texts rules set some of
    them."""

    def __init__(self, client: CrmClient, events: Sequence[Event], set_as: Mapping[int, str] | None = None) -> None:
        self._client = client
        self._set_as = set_as or {}
        self._ids = {event.task_id for event in events if isinstance(event, TaskReported | TaskAnswered)}
        self._found: dict[int, TaskRecord] | None = None
        anonymous = (
            event for event in events if isinstance(event, TaskDeleted | TaskUpdated) and event.user_id is None
        )
        self._anonymous_ids = sorted({event.task_id for event in anonymous})
        self._changes: dict[tuple[int, str], list[TaskChange]] | None = None

    def set_as(self, task_id: int) -> str:
        """The text that a rule set it with; empty for people's tasks."""
        return self._set_as.get(task_id, "")

    def get(self, task_id: int) -> TaskRecord | None:
        """None if there is no such task any more. Raises CrmError."""
        if self._found is None:
            self._found = tasks_by_ids(self._client, self._ids | {task_id})
        return self._found.get(task_id)

    def with_author(self, event: TaskReported) -> TaskReported:
        """The event with the user who did it, from amoCRM's events list if that has it already.

        A deleted task's webhook has nothing but the id, and a changed date's often no author. Of several changes, ours
        among them, the one to the date that the event names counts. Raises CrmError.
        """
        kind = DELETED if isinstance(event, TaskDeleted) else DATE_CHANGED if event.old_due is not None else None
        if kind is None or event.user_id is not None:
            return event
        if self._changes is None:
            self._changes = task_changes(self._client, self._anonymous_ids)
        changes = self._changes.get((event.task_id, kind), [])
        change = next((change for change in changes if change.due == event.due), changes[0] if changes else None)
        return replace(event, user_id=change.user_id, at=event.at or change.at) if change else event


# --- a round of processing -----------------------------------------------------------------------------------------

# One read of amoCRM for all deals of a batch: thousands of events after a bulk change are some requests.
BATCH_SIZE = 1000


class _EventView(NamedTuple):
    """What one event is judged on, and what that was made of: what was known of its deal, and waited with. ``after``:
    what the mirror will know of the deal."""

    known: MirroredDeal | None
    waiting: Sequence[WaitingEvent]
    after: MirroredDeal | None
    context: EvaluationContext


@dataclass
class _Batch:
    """What one round works on: the events with their rows, the mirror's deals (updated as events are evaluated), the
    deals freshly read, their open tasks that have an end, what rules need besides, and with what they wait."""

    events: Sequence[tuple[Row[Any], Event]]
    mirrored: dict[int, MirroredDeal]
    fresh: Mapping[int, DealRecord]
    tasks: CurrentTasks
    ending_tasks: EndingTasks
    data: DataLoader
    result: BatchResult
    waiting: dict[int, list[WaitingEvent]]
    rollbacks: RollbackHistory
    answers: EarlyAnswers = field(default_factory=EarlyAnswers)
    views: dict[int, _EventView] = field(default_factory=dict)
    """By the rows' ids, as they were looked at last."""

    def deals_of(self, event: Event) -> tuple[MirroredDeal | None, DealRecord | None]:
        """The event's deal as the mirror knows it, and as it is now."""
        deal_id = event.about_deal_id or 0
        return self.mirrored.get(deal_id), self.fresh.get(deal_id)


class EventProcessor:
    """Evaluates the oldest open events of many deals on fresh reads; the recorder writes what was decided.

    ``rules`` are asked for anew in every round. ``found_unknown_name`` is set when an event names something that the
    account's copy does not have: the caller then reads the account again. ``time_to_answer``: see Recorder.
    ``new_deals``: what the sender has just created.
    """

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        rules: CurrentRules,
        clock: Clock,
        contacts: ContactRefresher,
        *,
        time_to_answer: float = ANSWER_DELAY_SECONDS,
        new_deals: NewDeals | None = None,
    ) -> None:
        self.found_unknown_name = False
        self._new_deals = new_deals or NewDeals(clock)
        self._rules = rules
        self._store = store
        self._client = client
        self._clock = clock
        self._time_to_answer = time_to_answer
        self._mirror = Mirror(store)
        self._open_events = OpenEvents(store, clock)
        # A restore needs a bridge that is stopped: reading it once is enough.
        self._restored_copy = RestoredCopy.read(Cursors(store))
        self._contacts = contacts
        self._waiting = WaitingEvents(store)
        self._calls = ClientCalls(self._mirror, contacts)

    @property
    def _rule_engine(self) -> RuleEngine:
        return self._rules.get()

    def process(self) -> int:
        """Process a batch of open events; returns how many were settled. Raises CrmError if amoCRM can't be read."""
        rows = self._open_events.oldest(BATCH_SIZE)
        if not rows:
            return 0
        batch = self._load(rows, BatchResult())
        self._evaluate_early(batch)
        result = batch.result
        waiting = {row.deal_id for row in rows if row.id in result.postponed}
        for row, event in batch.events:
            deal_id = event.about_deal_id
            if deal_id is not None and deal_id in waiting:
                continue
            if not self._process_one(row, event, batch):
                waiting.add(deal_id)
        recorder = Recorder(self._store, self._rule_engine, self._clock, time_to_answer=self._time_to_answer)
        recorder.record(result)
        return len(result.done)

    # --- reading ---

    def _load(self, rows: Sequence[Row[Any]], result: BatchResult) -> _Batch:
        events = list(_decoded(rows, result))
        self._contacts.refresh_reported(event for _, event in events)
        kinds = tuple(kind for kind in (CallLogged, NoteAdded) if self._rule_engine.dispatcher.listens_for((kind,)))
        if kinds:
            result.calls = self._calls.on_deals((row.id, event) for row, event in events if isinstance(event, kinds))
        deal_ids = {deal_id for _, event in events if (deal_id := event.about_deal_id)}
        mirrored = self._mirror.get(deal_ids)
        for _, event in events:
            deal_id = event.about_deal_id or 0
            if (copy := self._new_deals.confirmed(event, mirrored.get(deal_id))) is not None:
                mirrored[deal_id] = result.mirrored[deal_id] = copy
        waiting = self._waiting.of(deal_ids)
        ending_tasks = EndingTasks.read(self._store, deal_ids)
        task_ids = {event.task_id for _, event in events if isinstance(event, TaskReported)}
        set_as = texts_of_rules(self._store, task_ids)
        tasks = CurrentTasks(self._client, [event for _, event in events], set_as)
        fresh = self._read_fresh([event for _, event in events], mirrored, ending_tasks, tasks, waiting)
        engine = self._rule_engine
        context = SourceContext(
            self._client,
            engine.account,
            self._store,
            engine.config.services,
            engine.people.names_of,
            engine.config.ads,
        )
        return _Batch(events, mirrored, fresh, tasks, ending_tasks, DataLoader(context, fresh), result, waiting,
            RollbackHistory(self._store, self._clock, fresh),
        )  # fmt: skip

    def _read_fresh(
        self,
        events: Sequence[Event],
        mirrored: Mapping[int, MirroredDeal],
        ending_tasks: EndingTasks,
        tasks: CurrentTasks,
        waiting: Container[int],
    ) -> dict[int, DealRecord]:
        wanted = {
            deal_id
            for event in events
            if (deal_id := event.about_deal_id)
            and self._needs_read(event, mirrored.get(deal_id), ending_tasks, tasks, is_waiting=deal_id in waiting)
        }
        account = self._rule_engine.account
        to_come = {
            event.deal_id: deal_to_come(event, account)
            for event in events
            if isinstance(event, EnquiryReceived) and event.is_to_come
        }
        wanted -= to_come.keys()
        to_come |= self._just_created(wanted - mirrored.keys(), events)
        wanted -= to_come.keys()
        if not wanted:
            return to_come
        return to_come | deals_by_ids(
            self._client, sorted(wanted), filter_enabled=self._rule_engine.account.is_api_filter_enabled
        )

    def _just_created(self, deal_ids: Iterable[int], events: Sequence[Event]) -> dict[int, DealRecord]:
        """Those that need no read, because the bridge has created them a moment ago."""
        found = {}
        for deal_id in (number for number in deal_ids if number in self._new_deals):
            about = [event for event in events if event.about_deal_id == deal_id]
            if (record := self._new_deals.fresh(deal_id, about)) is not None:
                found[deal_id] = record
        return found

    def _needs_read(
        self,
        event: Event,
        known: MirroredDeal | None,
        ending_tasks: EndingTasks,
        tasks: CurrentTasks,
        *,
        is_waiting: bool = False,
    ) -> bool:
        """``is_waiting``: a rule waits until this deal has changed, be it by a write of our own."""
        if isinstance(event, DealDeleted):
            return False
        if isinstance(event, DealReported) and is_waiting:
            return True
        if isinstance(event, DealReported) and not self._rule_engine.dispatcher.listens_to(event):
            return known is None or not known.covers(event)
        if isinstance(event, TaskReported) and self._is_watched(event, tasks):
            return True
        if isinstance(event, FileAttached) and ending_tasks.await_file(event.about_deal_id):
            return True
        return self._rule_engine.dispatcher.listens_to(event)

    def _is_watched(self, event: TaskReported, tasks: CurrentTasks) -> bool:
        may_be = may_be_observed(event, tasks.set_as(event.task_id))
        return may_be and self._rule_engine.dispatcher.listens_for(OBSERVED_TASK_EVENTS)

    # --- evaluating ---

    def _evaluate_early(self, batch: _Batch) -> None:
        """Find out what rules need on which deals, so that it is read for all of them at once."""
        if not self._rule_engine.dispatcher.has_needs:
            return
        for row, event in batch.events:
            known, record = batch.deals_of(event)
            if record is None or self._reason_to_skip(event, known, record, batch):
                continue
            try:
                context = self._view(row, event, batch, record).context
                expected = batch.data.expected(record.id)
                needs = self._rule_engine.dispatcher.evaluate_early(context, batch.answers, expected)
                batch.data.expect(needs, record.id)
            except Exception:  # noqa: BLE001 - it is evaluated again below, and what is wrong with it is recorded there
                continue

    def _process_one(self, row: Row[Any], event: Event, batch: _Batch) -> bool:
        """Evaluate one event into the result. False: later events of the same deal have to wait for a next round."""
        try:
            with with_facts(event_id=row.id, deal=row.deal_id):
                verdicts = self._evaluate(row, event, batch)
        except UnknownName as error:
            self.found_unknown_name = True
            batch.result.postponed[row.id] = str(error)
        except BridgeError:
            # Not this event's fault: amoCRM or the store does not answer, or another process leads.
            raise
        except Exception as error:  # noqa: BLE001 - one poisonous event must not hold up the others; it is kept and shown
            batch.result.postponed[row.id] = f"{type(error).__name__}: {error}"
        else:
            batch.result.done.append(row.id)
            return not any(verdict.outcome == "acts" and _changes_crm(verdict) for verdict in verdicts)
        return event.about_deal_id is None

    def _evaluate(self, row: Row[Any], event: Event, batch: _Batch) -> list[Verdict]:
        deal_id, result = event.about_deal_id, batch.result
        if deal_id is None:
            return []
        known, record = batch.deals_of(event)
        if reason := self._reason_to_skip(event, known, record, batch):
            if isinstance(event, DealDeleted):
                result.deleted.add(deal_id)
                result.mirrored.pop(deal_id, None)
                batch.mirrored.pop(deal_id, None)
            result.processed.append(ProcessedEvent(row.id, event, note=reason))
            return []
        assert record is not None
        view = self._view(row, event, batch, record)
        updated, context = view.after, view.context
        verdicts = self._rule_engine.dispatcher.evaluate(context, batch.data, batch.answers)
        settled = [verdict.settles for verdict in verdicts if verdict.settles]
        if settled:
            batch.waiting[deal_id] = [one for one in batch.waiting[deal_id] if one not in settled]
        if isinstance(event, DealReported) and updated is not None:
            # Only now: an event that could not be evaluated must find its change again next time.
            batch.mirrored[deal_id] = result.mirrored[deal_id] = updated
        pending = self._pending_answer(event, record, batch.tasks)
        result.processed.append(
            ProcessedEvent(row.id, event, tuple(verdicts), context=context, pending_answer=pending)
        )  # fmt: skip
        return verdicts

    def _reason_to_skip(
        self, event: Event, known: MirroredDeal | None, record: DealRecord | None, batch: _Batch
    ) -> str:
        """Why no rule has to be evaluated (Russian, for the journal); empty if some have."""
        if isinstance(event, DealDeleted):
            return "сделка удалена"
        is_waiting = event.about_deal_id in batch.waiting
        if not self._needs_read(event, known, batch.ending_tasks, batch.tasks, is_waiting=is_waiting):
            return "мост это уже знал" if isinstance(event, DealReported) else "ни одно правило этого не ждёт"
        if record is None:
            return DEAL_GONE
        return reason_not_about(event, record)

    def _view(self, row: Row[Any], event: Event, batch: _Batch, record: DealRecord) -> _EventView:
        """The same as before, unless an earlier event has changed what is known of the deal since then."""
        known = batch.mirrored.get(record.id)
        waiting = batch.waiting.get(record.id, ()) if isinstance(event, DealReported) else ()
        view = batch.views.get(row.id)
        if view is None or view.known is not known or view.waiting is not waiting:
            after = self._mirrored_after(event, known, record)
            context = EvaluationContext(
                tuple(self._observed(event, known, record, batch.tasks)),
                row.key,
                record,
                self._rule_engine.viewer.deal(record, after),
                before=known.record if known else None,
                count_rollbacks=batch.rollbacks.counter(record.id, (record.pipeline_id, record.status_id)),
                explanations=batch.rollbacks.explanations(record.id),
                ending_tasks=batch.ending_tasks.of(record.id),
                restored_copy=self._restored_copy,
                waiting=waiting,
            )
            view = batch.views[row.id] = _EventView(known, waiting, after, context)
        return view

    def _observed(
        self, event: Event, known: MirroredDeal | None, record: DealRecord, tasks: CurrentTasks
    ) -> Iterator[Event]:
        """The event, and what is observed by comparing the mirror with the fresh read."""
        if isinstance(event, TaskAnswered):
            # It was waited for: what the task's result is by now.
            answer = self._rule_engine.task_observer.answer_now(event, tasks.get(event.task_id))
            if answer is not None:
                yield answer
            return
        yield event
        if isinstance(event, DealReported):
            yield from self._rule_engine.observer.changes(known, record, event)
        elif isinstance(event, TaskReported) and self._is_watched(event, tasks):
            task = tasks.get(event.task_id)
            set_as = tasks.set_as(event.task_id)
            yield from self._rule_engine.task_observer.changes(tasks.with_author(event), task, record, set_as)

    def _mirrored_after(self, event: Event, known: MirroredDeal | None, record: DealRecord) -> MirroredDeal | None:
        """What the mirror knows of the deal, this event included."""
        if not isinstance(event, DealReported):
            return known
        return self._rule_engine.observer.mirrored_after(known, record, event)

    def _pending_answer(self, event: Event, record: DealRecord, tasks: CurrentTasks) -> TaskAnswered | None:
        if not isinstance(event, TaskReported) or not self._rule_engine.dispatcher.listens_for((TaskAnswered,)):
            return None
        set_as = tasks.set_as(event.task_id)
        return self._rule_engine.task_observer.pending_answer(event, tasks.get(event.task_id), record, set_as)


def _changes_crm(verdict: Verdict) -> bool:
    """Does it write into amoCRM? What only tells people leaves the deal as it was read."""
    return any(effect.kind not in OUTSIDE for effect in verdict.effects)


def _decoded(rows: Iterable[Row[Any]], result: BatchResult) -> Iterator[tuple[Row[Any], Event]]:
    """The events as they were stored. One that this version can't read (a newer one wrote it) is postponed."""
    for row in rows:
        try:
            yield row, from_json(json.loads(row.body))
        except ValueError as error:
            result.postponed[row.id] = str(error)


# --- calls and commands on a contact's card -------------------------------------------------------------------------

ClientEvent = CallLogged | NoteAdded


class ClientCalls:
    """Finds the deals that a call on a contact's card is about: the open ones whose main contact that is. A command in
    a note there is about one of them alone, the newest; without an open one, about the newest closed one.

    The telephone exchange finds the person by the phone: with one open deal the call stands on the deal, with several
    on the person (amoCRM docs, calls-api), and many integrations always write it there. Whoever else is on a deal, a
    blogger on dozens of them, is not the client who was called.
    """

    def __init__(self, mirror: Mirror, contacts: ContactRefresher) -> None:
        self._mirror = mirror
        self._contacts = contacts

    def on_deals(self, events: Iterable[tuple[int, Event]]) -> dict[int, tuple[ClientEvent, ...]]:
        """Event's id → the same event on each deal; what is about no deal is left out.

        Contacts that the index does not have are read, all in one request. Raises CrmError.
        """
        calls = {
            event_id: event
            for event_id, event in events
            if isinstance(event, CallLogged | NoteAdded) and _is_on_contact(event)
        }
        if not calls:
            return {}
        contact_ids = {call.entity_id or 0 for call in calls.values()}
        self._contacts.read_unknown(contact_ids)
        contacts = list(self._contacts.index.get(contact_ids).values())
        deals = {contact.id: self._deals_of(contact.id, contact.deal_ids) for contact in contacts}
        all_deals = {contact.id: contact.deal_ids for contact in contacts}
        on_deals: dict[int, tuple[ClientEvent, ...]] = {}
        for event_id, event in calls.items():
            found = deals.get(event.entity_id or 0, [])
            if isinstance(event, NoteAdded):
                found = sorted(found or all_deals.get(event.entity_id or 0, ()))[-1:]
            on_deals[event_id] = tuple(replace(event, deal_id=deal_id) for deal_id in found)
        return {event_id: copies for event_id, copies in on_deals.items() if copies}

    def _deals_of(self, contact_id: int, deal_ids: Sequence[int]) -> list[int]:
        """Without those that the mirror knows not to be this client's. The others are decided by a fresh read."""
        known = self._mirror.get(deal_ids)
        return [
            deal_id
            for deal_id in deal_ids
            if deal_id not in known or not _reason_not_clients(contact_id, known[deal_id].record)
        ]


def reason_not_about(event: Event, record: DealRecord) -> str:
    """Why a call on a contact's card is not about this deal (Russian); empty if it is, and for any other event."""
    if not isinstance(event, CallLogged) or event.deal_id is None or event.entity_id is None:
        return ""
    return _reason_not_clients(event.entity_id, record)


def _reason_not_clients(contact_id: int, record: DealRecord) -> str:
    if record.status_id in (WON, LOST):
        return "звонок на карточке контакта, а сделка закрыта"
    return "" if record.main_contact_id == contact_id else "звонок на карточке контакта, который в сделке не главный"


def _is_on_contact(call: ClientEvent) -> bool:
    if isinstance(call, NoteAdded) and not call.is_command:
        return False
    return call.entity_type == "contact" and None not in (call.entity_id, call.note_id) and call.deal_id is None
