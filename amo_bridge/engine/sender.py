"""How long people wait: from a hook's arrival to its effects in amoCRM."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial

import structlog
from sqlalchemy import select

from amo_bridge.clock import Clock
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.reads import deals_by_ids
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.writes import Written, find, most_of, named_bad, write
from amo_bridge.engine.deal_view import deal_url
from amo_bridge.engine.metrics import AccountMetrics
from amo_bridge.engine.outbox import Outbox, Sendable
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.write_results import WriteResults
from amo_bridge.errors import CrmForbidden, CrmRefused, CrmStopped, CrmTemporary, CrmUncertain
from amo_bridge.retry import delay
from amo_bridge.storage.database import Store
from amo_bridge.storage.tables import events


def measure(store: Store, meters: AccountMetrics, done: Iterable[Sendable], now: float) -> None:
    """Count effects that have just become true; those that a hook led to, with their time."""
    done = list(done)
    ids = {row.event_id for row in done if row.event_id is not None}
    with store.read() as connection:
        hooks = select(events.c.id, events.c.received_at).where(events.c.id.in_(ids), events.c.inbox_id.is_not(None))
        came = {row.id: row.received_at for row in connection.execute(hooks)} if ids else {}
    for row in done:
        meters.effect_done(row.kind)
        if row.event_id in came:
            meters.lagged(max(now - came[row.event_id], 0.0))


# Sending the outbox: like effects together, each surely once.

log = structlog.get_logger()
# A write that amoCRM is still chewing on may land after we gave up waiting; look only when it must have landed.
SETTLE = 15.0
# A deal read longer ago than this is read again before it is moved.
FRESH = 10.0
# Effects settled in one transaction: hooks that come in meanwhile are waiting for their own.
TOGETHER = 50


class Sender:
    def __init__(
        self,
        store: Store,
        account_id: int,
        client: CrmClient,
        rule_engine: RuleEngine,
        account_url: str,
        clock: Clock,
        *,
        settle: float = SETTLE,
        meters: AccountMetrics | None = None,
    ) -> None:
        self.rule_engine = rule_engine
        self._store = store
        self._key = account_id
        self._client = client
        self._url = account_url
        self._clock = clock
        self._settle = settle
        self._meters = meters
        self._outbox = Outbox(store, account_id, clock)
        self._aftermath = WriteResults(store, account_id, clock)

    def recover(self) -> int:
        return self._outbox.recover(self._settle)

    def send(self) -> int:
        """Look for what is in doubt, then send what is due; returns how many effects were settled.

        Raises CrmStopped when amoCRM wants nothing more from us; the effects stay for later.
        """
        settled = self._look_for_doubtful()
        for batch in _batches(self._outbox.take("ready")):
            settled += self._send_batch(self._still_wanted(batch))
        return settled

    def _send_batch(self, batch: Sequence[Sendable]) -> int:
        if not batch:
            return 0
        kind = batch[0].kind
        self._outbox.sending(batch)
        try:
            written = write(self._client, kind, {str(row.id): row.body for row in batch})
        except CrmForbidden as error:
            # A right that is missing for this kind of write: it will be missing again, and other writes go on.
            return self._fail(batch, dict.fromkeys((row.id for row in batch), str(error)))
        except CrmStopped as error:
            self._outbox.later(batch, delay(1), str(error))
            raise
        except CrmUncertain as error:
            log.warning("answer lost", kind=kind, effects=len(batch), error=str(error))
            self._outbox.later(batch, self._settle, str(error), state="doubt")
            return 0
        except CrmTemporary as error:
            tries = max(row.attempts for row in batch) + 1
            self._outbox.later(batch, error.retry_after or delay(tries), str(error))
            return 0
        except CrmRefused as error:
            return self._sort_refused(batch, error)
        self._settle_written([(row, written[str(row.id)]) for row in batch])
        return len(batch)

    def _sort_refused(self, batch: Sequence[Sendable], error: CrmRefused) -> int:
        """A refused batch wrote nothing. The bad ones fail with amoCRM's own words, the others are sent again; when the
        answer does not name the bad ones, the batch is halved until they stand alone."""
        bad = {int(mark): words for mark, words in named_bad([str(row.id) for row in batch], error).items()}
        if not bad and len(batch) > 1:
            middle = len(batch) // 2
            return self._send_batch(batch[:middle]) + self._send_batch(batch[middle:])
        words = {row.id: bad.get(row.id) or str(error) for row in batch if not bad or row.id in bad}
        return self._fail(batch, words) + self._send_batch([row for row in batch if row.id not in words])

    def _fail(self, batch: Sequence[Sendable], words: Mapping[int, str]) -> int:
        with self._store.write() as connection:
            for row in batch:
                if row.id in words:
                    log.error("refused", **_facts(row), error=words[row.id])
                    self._outbox.failed(connection, row, words[row.id])
        return len(words)

    def _look_for_doubtful(self) -> int:
        settled = 0
        for batch in _batches(self._outbox.take("doubt")):
            kind = batch[0].kind
            sought = {str(row.id): row.payload for row in batch}
            try:
                found = find(self._client, kind, sought, partial(self._outbox.taken_ids, kind))
            except CrmStopped:
                raise
            except (CrmTemporary, CrmRefused) as error:
                self._outbox.later(batch, delay(max(row.attempts for row in batch) + 1), str(error), state="doubt")
                continue
            there = [row for row in batch if str(row.id) in found]
            lost = [row for row in batch if str(row.id) not in found]
            log.info("looked for lost answers", kind=kind, found=len(there), missing=len(lost))
            self._settle_written([(row, found[str(row.id)]) for row in there])
            self._outbox.later(lost, 0, "ответ потерян, в amoCRM не найдено")
            settled += len(there)
        return settled

    def _still_wanted(self, batch: Sequence[Sendable]) -> list[Sendable]:
        """Moves decided a while ago are checked against a fresh read: a person may have moved the deal since."""
        now = self._clock.now().timestamp()
        old = [
            row for row in batch if row.payload.get("expects") and (row.attempts or now - row.created_at > FRESH)
        ]  # fmt: skip
        if not old:
            return list(batch)
        fresh = deals_by_ids(
            self._client, [row.deal_id for row in old], filter_enabled=self.rule_engine.account.is_api_filter_enabled
        )
        landed: list[tuple[Sendable, Written]] = []
        gone: list[Sendable] = []
        for row in old:
            record = fresh.get(row.deal_id)
            if record is not None and _is_there(record, row):
                landed.append((row, Written(record.id, record.updated_at)))
            elif record is None or [record.pipeline_id, record.status_id] != row.payload["expects"]:
                gone.append(row)
        self._settle_written(landed)
        with self._store.write() as connection:
            for row in gone:
                self._outbox.dropped(connection, row, "сделка уже на другом этапе")
        settled = {row.id for row in gone} | {row.id for row, _ in landed}
        return [row for row in batch if row.id not in settled]

    def _settle_written(self, pairs: Sequence[tuple[Sendable, Written]]) -> None:
        for start in range(0, len(pairs), TOGETHER):
            some = pairs[start : start + TOGETHER]
            with self._store.write() as connection:
                self._outbox.done_all(
                    connection,
                    [(row, written.id, self._address(row, written)) for row, written in some],
                    {row.id: written.updated_at.timestamp() for row, written in some if written.updated_at},
                )
                self._aftermath.of_all(connection, some)
                self._aftermath.plan(connection, self.rule_engine.timetable, [row for row, _ in some])
        for row, written in pairs:
            log.info("done", **_facts(row), id=written.id)
        if self._meters:
            measure(self._store, self._meters, [row for row, _ in pairs], self._clock.now().timestamp())

    def _address(self, row: Sendable, written: Written) -> str:
        return deal_url(self._url, written.id) if row.kind == "create_deal" else ""


def _facts(row: Sendable) -> dict[str, object]:
    """An effect in the log."""
    return {"rule": row.rule, "deal": row.deal_id, "event_id": row.event_id, "effect": row.id, "kind": row.kind}


def _is_there(record: DealRecord, row: Sendable) -> bool:
    """Is the deal on the stage that it is to be moved to? Then the move was sent before, and has landed since the look;
    what follows from it must follow all the same."""
    return (record.pipeline_id, record.status_id) == (row.body.get("pipeline_id"), row.body.get("status_id"))


def _batches(rows: Sequence[Sendable]) -> Iterator[list[Sendable]]:
    """Rows of one kind together, in the order of their first, at most as many as one request may hold."""
    by_kind: dict[str, list[Sendable]] = {}
    for row in rows:
        by_kind.setdefault(row.kind, []).append(row)
    for kind, same in by_kind.items():
        most = most_of(kind)
        for start in range(0, len(same), most):
            yield same[start : start + most]
