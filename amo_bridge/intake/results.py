"""Results of enquiries, taken from the event queue, the outbox and the journal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.engine import Connection

from amo_bridge.engine.deal_view import DEAL_GONE
from amo_bridge.engine.journal import SKIP_COLUMNS, unpack
from amo_bridge.intake.enquiries import EnquiryRepository, EnquiryState, StoredEnquiry, addresses_of
from amo_bridge.intake.mail import SOURCE as MAIL
from amo_bridge.intake.pbx_calls import due_at
from amo_bridge.intake.repository import hand_over_files
from amo_bridge.rules.enquiries import DEAL_CLOSED
from amo_bridge.storage.database import AccountStore, chunks
from amo_bridge.storage.tables import OPEN_STATES, events, journal, outbox
from amo_bridge.text.typography import action_words

MOST_AT_WORK = 2000
LONGEST_OUTCOME = 1000
# How often an enquiry is judged anew because its deal was closed or deleted in between.
MOST_ATTEMPTS = 3
NO_RULE = "ни одно включённое правило обращений не берёт: включите enquiry_becomes_deal"


class EnquiryResults:
    def __init__(self, store: AccountStore, repository: EnquiryRepository) -> None:
        self._store = store
        self._repository = repository

    def addresses_under_way(self, home: str) -> set[str]:
        """By what the people are known for whom a deal is being made, or a person is being asked."""
        rows = self._repository.open("sent", MOST_AT_WORK)
        return {
            address
            for row in rows
            if row.standing in ("new", "closed", "doubt") and not row.deal_id
            for address in addresses_of(row.body, home)
        }

    def settle(self) -> int:
        """Write down what became of those that were handed on; how many were settled. Raises StoreUnavailable."""
        rows = self._repository.open("sent", MOST_AT_WORK)
        by_key = self._events({row.event_key for row in rows if row.event_key})
        changes = {row.id: change for row in rows if (change := self._change(row, by_key.get(row.event_key or "")))}
        if changes:
            with self._store.write() as connection:
                for row in rows:
                    if row.id in changes:
                        self._repository.mark(connection, [row.id], **changes[row.id])
                        self._hand_over_files(connection, row, changes[row.id])
        return sum("state" in change for change in changes.values())

    def _hand_over_files(self, connection: Connection, row: StoredEnquiry, change: Mapping[str, Any]) -> None:
        """The files of a stranger's letter go to the deal that it has become, or that he had already."""
        deal_id = change.get("deal_id") or row.deal_id
        has_files = row.source == MAIL and row.enquiry is not None and row.enquiry.files
        if has_files and change.get("state") == "done" and deal_id and row.request_id:
            hand_over_files(connection, self._store, row.request_id, deal_id)

    def _change(self, row: StoredEnquiry, event: Row[Any] | None) -> dict[str, Any]:
        """What is to be written on the row; empty while nothing is new."""
        if event is None:
            # Cannot be: both are written in one transaction. Whoever deleted it has the enquiry judged anew.
            return {"state": "new", "event_key": None}
        is_there = event.deal_id and event.deal_id > 0 and event.deal_id != row.deal_id
        deal = {"deal_id": event.deal_id} if is_there else {}
        if event.state == "open":
            return deal
        if event.state in ("failed", "dropped"):
            return deal | {"state": "refused", "error": event.error or "событие снято"}
        effects, verdicts = self._decided(event)
        if any(effect.state in OPEN_STATES for effect in effects):
            return deal
        return deal | self._outcome(row, effects, verdicts)

    def _outcome(self, row: StoredEnquiry, effects: Sequence[Any], verdicts: Sequence[Any]) -> dict[str, Any]:
        failed = [effect for effect in effects if effect.state in ("failed", "unknown")]
        done = [effect for effect in effects if effect.state == "done" and not effect.error]
        words = "; ".join(_words(effect) for effect in done)
        if failed:
            # What waited for it has failed with it, and says the same.
            causes = [effect for effect in failed if not effect.after_id] or failed
            return _end("refused", words, "; ".join(dict.fromkeys(effect.error or "" for effect in causes)))
        if done and row.standing == "doubt":
            return _end("asked", words)
        is_over = any(verdict.reason in (DEAL_CLOSED, DEAL_GONE) for verdict in verdicts)
        if is_over and not done and row.attempts < MOST_ATTEMPTS:
            return {"state": "new", "attempts": row.attempts + 1, "event_key": None, "deal_id": None, "standing": ""}
        if done or (row.kind == "call" and row.standing == "open"):
            # The call's note may still have to be written: see pbx_calls.
            waits = {"state": "waits", "due_at": due_at(row)} if row.kind == "call" else {}
            return _end("done", words) | waits
        if dry := [verdict for verdict in verdicts if verdict.verdict == "would_act"]:
            told = [text for verdict in dry for text in json.loads(verdict.actions)]
            return _end("dry", "; ".join(map(action_words, told)))
        if broken := [verdict for verdict in verdicts if verdict.verdict in ("failed", "held")]:
            return _end("refused", "", "; ".join(verdict.reason for verdict in broken))
        reasons = [f"{verdict.rule}: {verdict.reason}" for verdict in verdicts if verdict.rule and verdict.reason]
        dropped = [effect.error for effect in effects if effect.error]
        return _end("skipped", "; ".join([*reasons, *dropped]) or NO_RULE)

    def _events(self, keys: set[str]) -> Mapping[str, Row[Any]]:
        found: dict[str, Row[Any]] = {}
        columns = (events.c.id, events.c.key, events.c.state, events.c.deal_id, events.c.error)
        with self._store.read() as connection:
            for chunk in chunks(sorted(keys)):
                query = select(*columns).where(self._store.owns(events), events.c.key.in_(chunk))
                found |= {row.key: row for row in connection.execute(query)}
        return found

    def _decided(self, event: Row[Any]) -> tuple[Sequence[Any], Sequence[Any]]:
        with self._store.read() as connection:
            effects = connection.execute(
                select(outbox.c.state, outbox.c.error, outbox.c.payload, outbox.c.after_id)
                .where(self._store.owns(outbox), outbox.c.deal_id == event.deal_id, outbox.c.event_id == event.id)
                .order_by(outbox.c.id)
            ).all()
            verdicts = connection.execute(
                select(*(journal.c[name] for name in ("rule", "verdict", "reason", "actions")), *SKIP_COLUMNS)
                .where(self._store.owns(journal), journal.c.deal_id == event.deal_id, journal.c.event_id == event.id)
                .order_by(journal.c.id)
            ).all()
        return effects, [one for verdict in verdicts for one in (verdict, *unpack(verdict))]


def _end(state: EnquiryState, outcome: str, error: str = "") -> dict[str, Any]:
    return {"state": state, "outcome": outcome[:LONGEST_OUTCOME], "error": error[:LONGEST_OUTCOME]}


def _words(effect: Row[Any]) -> str:
    return action_words(json.loads(effect.payload)["words"])
