"""States of the channels' vendors: connected since when, last sent, last error and what to do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Row, func, or_, select, update
from sqlalchemy.engine import Connection

from amo_bridge.clock import Clock
from amo_bridge.engine.effects import CHANNEL_KINDS, Channel, in_channel
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.storage.database import AccountStore, insert_new
from amo_bridge.storage.tables import (
    audience_lists,
    audience_members,
    audience_uploads,
    channel_states,
    dial_calls,
    in_open_state,
    is_done,
    is_given_up,
    outbox,
)

TROUBLED = ("failed", "unknown", "doubt", "ready")
FAILED_CALLS = ("refused", "unsent", "unknown", "doubt")
ADVICE: tuple[tuple[str, str], ...] = (
    (r"проверьте", ""),
    (r"401|403|не пускает|пароль|ключ|токен", "проверьте пароль или ключ и права: amo-bridge check"),
    (r"денег|счёт|balance", "пополните счёт у поставщика"),
    (r"не достучаться|прервалась|не ответил", "проверьте адрес (api), прокси и сеть; мост пробует сам"),
    (r"429|слишком много|лимит", "поставщик просит реже: мост подождёт и повторит сам"),
    (r"НЕИЗВЕСТНО|неизвестно, отправлено", "решите на странице «Не выполнено»: повторить или снять"),
    (r"шаблон", "поправьте шаблон письма и повторите на странице «Не выполнено»"),
)
"""What an error's words look like → what to do about it (Russian); the first that fits. Empty: the words say it."""
OTHERWISE = "посмотрите страницу «Не выполнено» и amo-bridge check"


def advice_for(error: str) -> str:
    """What to do about an error (Russian); empty if it says so itself."""
    return next((words for pattern, words in ADVICE if re.search(pattern, error, re.IGNORECASE)), OTHERWISE)


@dataclass(frozen=True)
class ChannelState:
    """One channel. ``vendor``: the section that serves it, empty if none does. ``waiting``: what is not sent yet."""

    name: Channel
    label: str
    vendor: str
    since: datetime | None = None
    sent_at: datetime | None = None
    waiting: int = 0
    error_at: datetime | None = None
    error: str = ""
    balance: float | None = None
    balance_at: datetime | None = None

    @property
    def is_connected(self) -> bool:
        return bool(self.vendor)

    @property
    def advice(self) -> str:
        return advice_for(self.error) if self.error else ""


class VendorStates:
    """One account's. Everything raises StoreUnavailable."""

    def __init__(self, store: AccountStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def connect(self, vendors: Iterable[str]) -> None:
        """These are connected: since now, unless they were before; those that are not any more are forgotten."""
        names, now = sorted(vendors), self._clock.now().timestamp()
        rows = [{"account": self._store.account_id, "vendor": name, "since": now} for name in names]
        mine = self._store.owns(channel_states)
        with self._store.write() as connection:
            connection.execute(channel_states.delete().where(mine, channel_states.c.vendor.not_in(names)))
            insert_new(connection, channel_states, rows)

    def keep_balance(self, vendor: str, balance: float) -> None:
        """What a vendor has said about the money on the account."""
        now = self._clock.now().timestamp()
        row = {"account": self._store.account_id, "vendor": vendor, "since": now}
        mine = (self._store.owns(channel_states), channel_states.c.vendor == vendor)
        with self._store.write() as connection:
            insert_new(connection, channel_states, [row])
            connection.execute(update(channel_states).where(*mine).values(balance=balance, balance_at=now))

    def read(self, vendor_of: Mapping[Channel, str]) -> list[ChannelState]:
        """Every channel; ``vendor_of``: the section that serves it, if any does."""
        with self._store.read() as connection:
            rows = connection.execute(select(channel_states).where(self._store.owns(channel_states))).all()
            known = {row.vendor: row for row in rows}
            return [self._state(connection, name, vendor_of.get(name, ""), known) for name in CHANNEL_KINDS]

    def _state(
        self, connection: Connection, name: Channel, vendor: str, known: Mapping[str, Row[tuple[object, ...]]]
    ) -> ChannelState:
        mine = (self._store.owns(outbox), in_channel(name, outbox))
        sent_at = self._last_done(connection, name)
        if name == "dial":
            asked = select(func.max(dial_calls.c.asked_at)).where(self._store.owns(dial_calls))
            sent_at = connection.execute(asked.where(dial_calls.c.state != "unsent")).scalar()
        if name == "audiences":
            taken = select(func.max(audience_uploads.c.ended_at)).where(self._store.owns(audience_uploads))
            sent_at = connection.execute(taken.where(audience_uploads.c.state == "done")).scalar()
        open_states = ("ready", "sending", "doubt")
        is_waiting = (in_open_state(outbox), outbox.c.state.in_(open_states))
        waiting = select(func.count()).select_from(outbox).where(*mine, *is_waiting)
        waits = int(connection.execute(waiting).scalar_one())
        if name == "audiences":
            members = (self._store.owns(audience_members), audience_members.c.state.in_(("queued", "leaving")))
            queued = select(func.count()).select_from(audience_members).where(*members)
            waits += int(connection.execute(queued).scalar_one())
        error_at, error = self._error(connection, name, mine, sent_at)
        row = known.get(vendor)
        return ChannelState(
            name=name,
            label=CHANNEL_KINDS[name].label,
            vendor=vendor,
            since=_moment(row.since) if row else None,
            sent_at=_moment(sent_at),
            waiting=waits,
            error_at=_moment(error_at),
            error=error,
            balance=row.balance if row else None,
            balance_at=_moment(row.balance_at) if row else None,
        )

    def _last_done(self, connection: Connection, name: Channel) -> float | None:
        """When something of the channel went out last, kind by kind: so each is one step in the index."""
        last = select(func.max(outbox.c.done_at)).where(self._store.owns(outbox), is_done())
        kinds = CHANNEL_KINDS[name].effects
        found = [connection.execute(last.where(outbox.c.kind == kind)).scalar() for kind in kinds]
        return max((one for one in found if one is not None), default=None)

    def _error(
        self, connection: Connection, name: Channel, mine: Sequence[ColumnElement[bool]], sent_at: float | None
    ) -> tuple[float | None, str]:
        """When and why; nothing if what was tried after it went out."""
        if name == "dial":
            # By number: what an index that begins with the account finds would be sorted first.
            mine_alone = dial_calls.c.account + 0 == self._store.account_id
            ended = (mine_alone, dial_calls.c.state.not_in(("asking", "placed")))
            query = select(dial_calls.c.asked_at, dial_calls.c.words, dial_calls.c.state).where(*ended)
            call = connection.execute(query.order_by(dial_calls.c.id.desc()).limit(1)).first()
            return (call.asked_at, call.words) if call and call.state in FAILED_CALLS else (None, "")
        if name == "audiences":
            troubles = (self._store.owns(audience_lists), audience_lists.c.trouble != "")
            columns = (audience_lists.c.audience, audience_lists.c.trouble, audience_lists.c.trouble_at)
            latest = select(*columns).where(*troubles).order_by(audience_lists.c.trouble_at.desc()).limit(1)
            if (one := connection.execute(latest).first()) is not None:
                return one.trouble_at, f"«{one.audience}»: {one.trouble}"
        tried_at = func.coalesce(outbox.c.sent_at, outbox.c.created_at)
        # What was put off and never tried, by quiet hours, is no error.
        has_failed = or_(outbox.c.state != "ready", outbox.c.attempts > 0)
        query = (
            select(outbox.c.id, tried_at.label("tried_at"), outbox.c.error, outbox.c.payload)
            .where(*mine, outbox.c.error.is_not(None), outbox.c.state.in_(TROUBLED), has_failed)
            .order_by(tried_at.desc(), outbox.c.id.desc())
            .limit(1)
        )
        # One index for each of these conditions, and none for both.
        last = [connection.execute(query.where(one)).first() for one in (in_open_state(outbox), is_given_up(outbox))]
        row = max((one for one in last if one is not None), key=lambda one: (one.tried_at, one.id), default=None)
        if row is None or (sent_at is not None and sent_at > row.tried_at):
            return None, ""
        return row.tried_at, f"{json.loads(row.payload).get('words', '')}: {row.error}"


def _moment(seconds: object) -> datetime | None:
    return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) else None
