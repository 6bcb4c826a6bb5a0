"""Freshness check: changes decided a while ago, compared with a fresh read before they are sent.

A deal that was moved since is not moved; a task that was finished is not finished again. Of fields, each is looked at
by itself: it is what was wanted already, or still what it was (sent), or somebody has changed it since: then it is
that person's, and is left out.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.lost_writes import Written
from amo_bridge.crm.reads import deals_by_ids, tasks_by_ids
from amo_bridge.crm.records import DealRecord, TaskRecord, is_written
from amo_bridge.engine.effects import GUARDED, part_now, patched_parts
from amo_bridge.engine.outbox import Sendable
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore
from amo_bridge.storage.tables import outbox

# A card read more seconds ago than this is read again before it is changed.
MAX_READ_AGE_SECONDS = 10.0
# What was written shortly before a decision may not have been in the read that it was made by.
READ_SLACK_SECONDS = 60.0
UNKNOWN = object()


@dataclass
class Checked:
    """``send``: as they are to be sent. ``narrowed``: those of them of which a part is left out, with the reason.
    ``landed``: it is so already. ``dropped``: with the reason, Russian."""

    send: list[Sendable] = field(default_factory=list)
    narrowed: list[tuple[Sendable, str]] = field(default_factory=list)
    landed: list[tuple[Sendable, Written]] = field(default_factory=list)
    dropped: list[tuple[Sendable, str]] = field(default_factory=list)


class FreshnessCheck:
    """Compares what is about to be sent with amoCRM. ``account``: gives its names as they are known now."""

    def __init__(self, store: AccountStore, client: CrmClient, account: Callable[[], Account], clock: Clock) -> None:
        self._store = store
        self._client = client
        self._account = account
        self._clock = clock

    def check(self, batch: Sequence[Sendable]) -> Checked:
        """What of a batch of one kind is still to be sent. Reads amoCRM only for what is old, was tried before, or
        finishes a task. Raises CrmError."""
        now = self._clock.now().timestamp()
        doubtful = {
            row.id
            for row in batch
            if row.kind in GUARDED
            and (_finishes(row) or row.attempts or now - row.created_at > MAX_READ_AGE_SECONDS)
            and (row.payload.get("expects") or _is_guarded(row))
        }
        if not doubtful:
            return Checked(send=list(batch))
        rows = [row for row in batch if row.id in doubtful]
        records = self._read(batch[0].kind, [int(row.body["id"]) for row in rows])
        written = self._written_since(rows)
        checked = Checked()
        for row in batch:
            if row.id in doubtful:
                self._sort(row, records.get(int(row.body["id"])), written.get(int(row.body["id"]), {}), checked)
            else:
                checked.send.append(row)
        return checked

    def _read(self, kind: str, ids: Iterable[int]) -> Mapping[int, DealRecord | TaskRecord]:
        if kind == "change_task":
            return tasks_by_ids(self._client, ids)
        return deals_by_ids(self._client, ids, filter_enabled=self._account().is_api_filter_enabled)

    def _written_since(self, rows: Sequence[Sendable]) -> dict[int, dict[str, Any]]:
        """Card → part → what our own writes have made of it since these rows were decided."""
        oldest = min(row.created_at for row in rows) - READ_SLACK_SECONDS
        query = select(outbox.c.payload).where(
            self._store.owns(outbox),
            outbox.c.deal_id.in_({row.deal_id for row in rows}),
            outbox.c.kind == rows[0].kind,
            outbox.c.state == "done",
            outbox.c.done_at >= oldest,
        )
        found: dict[int, dict[str, Any]] = {}
        with self._store.read() as connection:
            for payload in connection.execute(query.order_by(outbox.c.done_at, outbox.c.id)).scalars():
                body = json.loads(payload)["body"]
                found.setdefault(int(body["id"]), {}).update(patched_parts(rows[0].kind, body))
        return found

    def _sort(
        self, row: Sendable, record: DealRecord | TaskRecord | None, ours: Mapping[str, Any], checked: Checked
    ) -> None:
        if isinstance(record, TaskRecord) and record.is_completed and _finishes(row):
            # What a person has finished meanwhile keeps the person's result.
            checked.dropped.append((row, "задача уже закрыта"))
        elif row.payload.get("expects"):
            self._sort_move(row, record, checked)
        elif record is None or not _is_guarded(row):
            # amoCRM will say what became of the card.
            checked.send.append(row)
        else:
            self._sort_fields(row, record, ours, checked)

    def _sort_move(self, row: Sendable, record: DealRecord | TaskRecord | None, checked: Checked) -> None:
        stage = (record.pipeline_id, record.status_id) if isinstance(record, DealRecord) else None
        if record is not None and stage == (row.body.get("pipeline_id"), row.body.get("status_id")):
            # It was sent before, and has landed since the look; what follows from it must follow all the same.
            checked.landed.append((row, Written(record.id, record.updated_at)))
        elif stage is None or list(stage) != row.payload["expects"]:
            checked.dropped.append((row, "сделка уже на другом этапе"))
        else:
            checked.send.append(row)

    def _sort_fields(
        self, row: Sendable, record: DealRecord | TaskRecord, ours: Mapping[str, Any], checked: Checked
    ) -> None:
        theirs, so_already = [], []
        before = row.payload.get("before") or {}
        wanted = patched_parts(row.kind, row.body)
        for part, value in wanted.items():
            current = part_now(record, part)
            if _is_equal(value, current):
                so_already.append(part)
            elif not self._is_untouched(row, record, current, before.get(part, UNKNOWN), ours.get(part, UNKNOWN)):
                theirs.append(part)
        if not theirs:
            is_all = len(so_already) == len(wanted) and not _others(row)
            if is_all:
                checked.landed.append((row, Written(record.id, record.updated_at)))
            else:
                checked.send.append(row)
            return
        reason = "; ".join(self._words(row.kind, part) for part in theirs)
        rest = _without(row.body, {*theirs, *so_already})
        if set(rest) == {"id"}:
            checked.dropped.append((row, reason))
        else:
            checked.narrowed.append((row.with_body(rest), reason))

    def _is_untouched(
        self, row: Sendable, record: DealRecord | TaskRecord, current: Any, before: Any, ours: Any
    ) -> bool:
        """Is it still what it was when the rule decided, or what another write of ours has made of it?"""
        if ours is not UNKNOWN and _is_equal(ours, current):
            return True
        if before is not UNKNOWN:
            return _is_equal(before, current)
        # Decided by an older version, or by a rule that did not read it: then any change by another user counts.
        decided_at = max(row.created_at, float(row.payload.get("not_before") or 0), record.created_at.timestamp())
        is_ours = record.updated_by == self._account().current_user_id
        return not row.attempts or is_ours or record.updated_at.timestamp() <= decided_at

    def _words(self, kind: str, part: str) -> str:
        if words := GUARDED[kind].get(part):
            return words
        account = self._account()
        name = next((one.name for one in account.all_fields if str(one.id) == part), part)
        return f"поле «{name}» изменено человеком"


def _finishes(row: Sendable) -> bool:
    return row.kind == "change_task" and bool(row.body.get("is_completed"))


def _is_guarded(row: Sendable) -> bool:
    return _finishes(row) or bool(patched_parts(row.kind, row.body))


def _others(row: Sendable) -> bool:
    """Does a patch hold anything besides what is guarded?"""
    return any(key not in ("id", "custom_fields_values", *GUARDED[row.kind]) for key in row.body)


def _is_equal(wanted: Any, current: Any) -> bool:
    return is_written(wanted, current) if isinstance(wanted, list) else wanted == current


def _without(body: Mapping[str, Any], parts: set[str]) -> dict[str, Any]:
    rest = {key: value for key, value in body.items() if key not in parts}
    if fields := rest.pop("custom_fields_values", None):
        left = [one for one in fields if str(one["field_id"]) not in parts]
        rest |= {"custom_fields_values": left} if left else {}
    return rest
