"""Sender: writes the outbox into amoCRM, like effects in one batch, each surely once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient, batches
from amo_bridge.crm.lost_writes import LostWrite, Written
from amo_bridge.crm.writes import WRITE_KINDS, BatchResult, find_lost, write_batch
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.effects import NEW_ID, Effect, Kind
from amo_bridge.engine.freshness import FreshnessCheck, NewDeals
from amo_bridge.engine.metrics import AccountMetrics, on_behalf_of
from amo_bridge.engine.outbox import Outbox, Sendable
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.write_results import WriteResults
from amo_bridge.errors import Complaint, CrmRefused, CrmStopped, CrmTemporary, UnknownName
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.retry import SETTLE, delay
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import events

# Effects settled in one transaction: webhooks that come in meanwhile wait for the database.
SETTLE_BATCH_SIZE = 50
# An object that is refused again and again is given up, whatever else amoCRM finds in it.
MAX_REDUCTIONS = 5
CLIENT_DEALS = ("create_client_deal", "create_deal")


class Sender:
    """``settle``: seconds after a lost answer until the write is looked for. ``refresh_account``: has the account's
    names read anew. ``new_deals`` hears of clients' deals that were just created."""

    def __init__(
        self,
        store: AccountStore,
        client: CrmClient,
        rules: CurrentRules,
        account_url: str,
        clock: Clock,
        *,
        settle: float = SETTLE,
        meters: AccountMetrics | None = None,
        refresh_account: Callable[[], None] = lambda: None,
        account_clock: Clock | None = None,
        new_deals: NewDeals | None = None,
    ) -> None:
        self._new_deals = new_deals or NewDeals(clock)
        self._account_clock = account_clock or clock
        self._rules = rules
        self._refresh_account = refresh_account
        self._store = store
        self._client = client
        self._url = account_url
        self._clock = clock
        self._settle = settle
        self._metrics = meters
        self._outbox = Outbox(store, clock)
        self._freshness = FreshnessCheck(store, client, lambda: rules.get().account, clock)
        self._write_results = WriteResults(store, clock, account_clock)

    def recover(self) -> int:
        """Doubt what was being sent when the process stopped; returns how many effects that were."""
        return self._outbox.recover(self._settle)

    def send(self) -> int:
        """Look for lost answers, then send what is due; returns how many effects were settled.

        Raises CrmStopped when amoCRM wants nothing more from us; the effects stay for later.
        """
        settled = self._find_lost()
        for batch in _batches(self._outbox.take("ready")):
            settled += self._send_batch(self._still_wanted(batch))
        return settled

    # --- sending a batch ---

    def _send_batch(self, batch: Sequence[Sendable]) -> int:
        if not batch:
            return 0
        kind = batch[0].kind
        batch = self._outbox.sending(batch)
        rows = {row.id: row for row in batch}
        settled = 0
        asked_at = self._account_clock.now()
        with on_behalf_of(f"{kind}: {', '.join(sorted({row.rule for row in batch}))}"):
            for result in write_batch(self._client, kind, {row.id: row.body for row in batch}):
                self._apply(kind, rows, result)
                self._tell_new_deals(rows, result.written, asked_at)
                settled += result.settled
        return settled

    def _tell_new_deals(self, rows: Mapping[int, Sendable], written: Mapping[int, Written], asked_at: datetime) -> None:
        """Not of those whose answer was lost: people may have changed them by the time they are found."""
        user_id = self._rules.get().account.current_user_id
        for number, one in written.items():
            if rows[number].payload.get("person") and rows[number].kind in CLIENT_DEALS:
                self._new_deals.put(rows[number], one, asked_at, user_id)

    def _apply(self, kind: str, rows: Mapping[int, Sendable], result: BatchResult) -> None:
        if result.written:
            self._settle_written([(rows[number], written) for number, written in result.written.items()])
        if result.refused:
            self._apply_refused(rows, result)
        if result.later:
            postponed = [rows[number] for number in result.later]
            self._outbox.later(postponed, _pause(result, postponed), str(result.error))
        if result.doubt:
            log.warning("answer lost", kind=kind, effects=len(result.doubt), error=str(result.error))
            doubted = [rows[number] for number in result.doubt]
            self._outbox.later(doubted, self._settle, str(result.error), state="doubt")

    def _apply_refused(self, rows: Mapping[int, Sendable], result: BatchResult) -> None:
        """Give up what amoCRM refused, but for what it takes without some parts, or for another person."""
        if any(result.complaints.values()):
            # A field may be gone, a person switched off: what is left is decided by the names that are there now.
            self._read_names()
        account = self._rules.get().account
        with self._store.write() as connection:
            for number, reason in result.refused.items():
                row, complaints = rows[number], result.complaints.get(number, ())
                rest = None
                if complaints and row.reduced < MAX_REDUCTIONS:
                    rest = remainder(row.kind, row.body, row.deal_id, complaints, account, self._instead)
                if rest is not None:
                    log.warning("refused in part", **_log_fields(row), error=reason, left_out=rest.words)
                    self._outbox.reduced(connection, row, rest.body, rest.words, rest.left_out)
                    continue
                told = in_russian(complaints, row.body, account)
                log.error("refused", **_log_fields(row), error=reason)
                self._outbox.failed(connection, row, f"{told}. {reason}" if told else reason)

    def _read_names(self) -> None:
        try:
            self._refresh_account()
        except (CrmTemporary, CrmRefused) as error:
            log.warning("the account's names can't be read", error=str(error))

    def _instead(self, user_id: int) -> int:
        """Who works for somebody for whom amoCRM takes nothing."""
        rules = self._rules.get()
        today = rules.calendar.local(self._clock.now()).date()
        return rules.people.works_now(user_id, today, is_gone=True)

    def _settle_written(self, pairs: Sequence[tuple[Sendable, Written]]) -> None:
        for chunk in chunks(pairs, SETTLE_BATCH_SIZE):
            with self._store.write() as connection:
                self._outbox.done_all(
                    connection,
                    [(row, written.id, self._deal_url(row, written)) for row, written in chunk],
                    {row.id: written.updated_at.timestamp() for row, written in chunk if written.updated_at},
                )
                self._write_results.apply(connection, chunk)
                self._write_results.update_timers(connection, self._rules.timetable(), [row for row, _ in chunk])
        self._new_deals.forget(row for row, _ in pairs)
        for row, written in pairs:
            log.info("done", **_log_fields(row), id=written.id)
        if self._metrics:
            measure(self._store, self._metrics, [row for row, _ in pairs], self._clock.now().timestamp())

    def _deal_url(self, row: Sendable, written: Written) -> str:
        """The address of a deal that was created; what waits for it may need that."""
        return deal_url(self._url, written.id) if WRITE_KINDS[row.kind].creates == "deal" else ""

    # --- before sending ---

    def _find_lost(self) -> int:
        settled = 0
        for batch in _batches(self._outbox.take("doubt")):
            kind = batch[0].kind
            user_id = self._rules.get().account.current_user_id
            lost = {row.id: LostWrite(row.body, row.payload.get("not_before", 0), user_id) for row in batch}
            try:
                with on_behalf_of(f"потерянный ответ на {kind}"):
                    found, ambiguous = find_lost(self._client, kind, lost, partial(self._outbox.taken_ids, kind))
            except CrmStopped:
                raise
            except (CrmTemporary, CrmRefused) as error:
                self._outbox.later(batch, delay(max(row.attempts for row in batch) + 1), str(error), state="doubt")
                continue
            missing = [row for row in batch if row.id not in found and row.id not in ambiguous]
            log.info(
                "looked for lost answers", kind=kind, found=len(found), missing=len(missing), ambiguous=len(ambiguous)
            )
            self._ask_people([(row, ambiguous[row.id]) for row in batch if row.id in ambiguous])
            self._settle_written([(row, found[row.id]) for row in batch if row.id in found])
            self._outbox.later(missing, 0, "ответ потерян, в amoCRM не найдено")
            settled += len(found) + len(ambiguous)
        return settled

    def _ask_people(self, ambiguous: Sequence[tuple[Sendable, Sequence[int]]]) -> None:
        """Give up what may be one of some rows that people have changed: only they can tell."""
        with self._store.write() as connection:
            for row, ids in ambiguous:
                numbers = ", ".join(map(str, ids))
                reason = f"ответ amoCRM потерян; похожее есть, но люди его уже изменили (номера {numbers}): проверьте"
                log.error("perhaps done", **_log_fields(row), error=reason)
                self._outbox.given_up(connection, row, "unknown", reason)

    def _still_wanted(self, batch: Sequence[Sendable]) -> list[Sendable]:
        """Without what has become so by itself, and what people have changed since it was decided."""
        with on_behalf_of("не изменили ли люди то, что пишется"):
            checked = self._freshness.check(batch)
        self._settle_written(checked.landed)
        narrowed = [row for row, _ in checked.narrowed]
        if checked.dropped or checked.narrowed:
            with self._store.write() as connection:
                for row, reason in checked.dropped:
                    log.info("not sent", **_log_fields(row), reason=reason)
                    self._outbox.dropped(connection, row, reason)
                for row, reason in checked.narrowed:
                    log.info("sent in part", **_log_fields(row), left_out=reason)
                    self._outbox.narrowed(connection, row, reason)
        return [*checked.send, *narrowed]


def _pause(result: BatchResult, postponed: Sequence[Sendable]) -> float:
    """Seconds until the next try: as amoCRM asked, else longer after each failed one."""
    if isinstance(result.error, CrmTemporary):
        return result.error.retry_after or delay(max(row.attempts for row in postponed) + 1)
    # amoCRM stopped us: that is no fault of the effects, and nothing leaves before the circuit breaker closes.
    return delay(1)


def _batches(rows: Sequence[Sendable]) -> Iterator[Sequence[Sendable]]:
    """Rows of one kind together, in the order of their first, at most as many as one request may hold."""
    by_kind: dict[str, list[Sendable]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    for kind, same in by_kind.items():
        yield from batches(same, WRITE_KINDS[kind].batch_size)


def _log_fields(row: Sendable) -> dict[str, object]:
    return {"rule": row.rule, "deal": row.deal_id, "event_id": row.event_id, "effect": row.id, "kind": row.kind}


def measure(store: AccountStore, metrics: AccountMetrics, done: Iterable[Sendable], now: float) -> None:
    """Count effects that have just become true, and for those that a webhook led to the time since it arrived."""
    done = list(done)
    ids = {row.event_id for row in done if row.event_id is not None}
    with store.read() as connection:
        hooks = select(events.c.id, events.c.received_at).where(events.c.id.in_(ids), events.c.inbox_id.is_not(None))
        received_at = {row.id: row.received_at for row in connection.execute(hooks)} if ids else {}
    for row in done:
        metrics.effect_done(row.kind)
        if row.event_id in received_at:
            metrics.lagged(max(now - received_at[row.event_id], 0.0))


# --- partial refusals -------------------------------------------------------------------------------------------------
# amoCRM names the parts it does not take; the rest of the object is written. What is left out becomes writes of their
# own, to be tried after the rest: they are refused again, stand among what the bridge gave up on with a reason that
# people understand, and can be repeated when the account is mended.

Instead = Callable[[int], int]
"""A user for whom amoCRM takes nothing → who works for him. Raises UnknownName."""

ELEMENT = re.compile(
    r"^(custom_fields_values|_embedded\.tags|_embedded\.contacts|_embedded\.companies|tags_to_add)\.(\d+)"
)
LISTS = {
    "_embedded.tags": "тег",
    "_embedded.contacts": "контакт",
    "_embedded.companies": "компания",
    "tags_to_add": "тег",
}
SCALARS = {"price": "бюджет", "loss_reason_id": "причина отказа", "task_type_id": "тип задачи"}
"""What an object can do without → what it is called."""
IDENTITY = ("id", "entity_id", "entity_type", "request_id")
PATCH: Mapping[str, Kind] = {"create_deal": "patch_deal", "patch_deal": "patch_deal", "create_task": "change_task",
                             "change_task": "change_task"}  # fmt: skip
"""By which kind of write a part is written into what the rest has made."""


@dataclass(frozen=True)
class Remainder:
    """``body``: without the refused parts. ``words``: to be added to the effect's own. ``left_out``: the parts, each a
    write of its own."""

    body: Mapping[str, Any]
    words: str
    left_out: tuple[Effect, ...]


def remainder(
    kind: str,
    body: Mapping[str, Any],
    deal_id: int,
    complaints: Iterable[Complaint],
    account: Account,
    instead: Instead,
) -> Remainder | None:
    """What can be written of an object all the same; None if amoCRM refused what it can't do without."""
    if kind not in PATCH:
        return None
    rest: dict[str, Any] = {**body, "_embedded": dict(body["_embedded"])} if "_embedded" in body else dict(body)
    dropped: dict[str, set[int]] = {}
    words, left_out = [], []
    for complaint in complaints:
        element = ELEMENT.match(complaint.path)
        if element:
            dropped.setdefault(element[1], set()).add(int(element[2]))
        elif complaint.path == "responsible_user_id" and "responsible_user_id" in rest:
            try:
                other = instead(int(rest["responsible_user_id"]))
            except UnknownName:
                return None
            if other == rest["responsible_user_id"]:
                return None
            words.append(f"исполнитель {_user(account, other)} (за {_user(account, rest['responsible_user_id'])})")
            rest["responsible_user_id"] = other
        elif complaint.path in SCALARS and complaint.path in rest:
            part = {complaint.path: rest.pop(complaint.path)}
            words.append(f"без части «{SCALARS[complaint.path]}»")
            left_out.append(_part(kind, body, deal_id, part, SCALARS[complaint.path]))
        else:
            return None
    for name, places in dropped.items():
        holder = rest["_embedded"] if name.startswith("_embedded.") else rest
        key = name.removeprefix("_embedded.")
        elements = holder.get(key) or []
        if any(place >= len(elements) for place in places):
            return None
        for place in sorted(places):
            called = _called(name, elements[place], account)
            words.append(f"без части «{called}»")
            if not name.startswith("_embedded."):
                left_out.append(_part(kind, body, deal_id, {key: [elements[place]]}, called))
        holder[key] = [element for place, element in enumerate(elements) if place not in places]
        if not holder[key]:
            del holder[key]
    if rest == body or not _says_anything(kind, rest):
        return None
    return Remainder(rest, "; ".join(words), tuple(left_out))


def in_russian(complaints: Iterable[Complaint], body: Mapping[str, Any], account: Account) -> str:
    """Why amoCRM refused, for people; empty where it is not known what its words mean."""
    return "; ".join(dict.fromkeys(filter(None, (_reason(one, body, account) for one in complaints))))


def _reason(complaint: Complaint, body: Mapping[str, Any], account: Account) -> str:
    element, is_no_choice = ELEMENT.match(complaint.path), complaint.code == "NotSupportedChoice"
    if element:
        parts = body.get("_embedded") or {} if element[1].startswith("_embedded.") else body
        elements = parts.get(element[1].removeprefix("_embedded.")) or []
        place = int(element[2])
        called = _called(element[1], elements[place], account) if place < len(elements) else ""
        if element[1] != "custom_fields_values":
            return f"{called}: amoCRM этого не приняла"
        if is_no_choice and re.search(r"\.field_(id|code)$", complaint.path):
            return f"{called}: такого поля в amoCRM больше нет"
        if is_no_choice:
            return f"{called}: такого значения у поля в amoCRM нет"
        return f"{called}: такое значение amoCRM в это поле не записывает"
    if complaint.path == "responsible_user_id":
        return "сотрудник, на которого это ставят, отключён или его нет"
    if complaint.path in ("status_id", "pipeline_id"):
        return "такого этапа или такой воронки в amoCRM нет"
    return f"{SCALARS[complaint.path]}: amoCRM такого не знает" if complaint.path in SCALARS else ""


def _part(kind: str, body: Mapping[str, Any], deal_id: int, part: Mapping[str, Any], called: str) -> Effect:
    """A write of its own into what the rest has made, or into what was to be changed."""
    own_id = body.get("id", NEW_ID)
    return Effect(PATCH[kind], deal_id, {"id": own_id, **part}, f"оставшаяся часть: {called}")


def _says_anything(kind: str, rest: Mapping[str, Any]) -> bool:
    return kind.startswith("create_") or any(key not in IDENTITY for key in rest)


def _called(name: str, element: Mapping[str, Any], account: Account) -> str:
    if name == "custom_fields_values":
        field_id = element.get("field_id")
        field = next((one.name for one in account.all_fields if one.id == field_id), str(field_id))
        return f"поле {field}"
    return f"{LISTS[name]} {element.get('name') or element.get('id')}"


def _user(account: Account, user_id: int) -> str:
    return next((user.name for user in account.users if user.id == user_id), str(user_id))
