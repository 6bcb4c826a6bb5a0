"""The history of the exchanges: clients' calls whose webhook was lost.

Exchanges repeat no webhook. What the history tells and no webhook told becomes a call like any other; both have the
exchange's name of the call for a key, so each is taken once, whichever comes first.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from amo_bridge.channels.telephony import DAY_FORMAT, MOSCOW, Row, Telephony, Zadarma
from amo_bridge.channels.vendors import exchanges_of
from amo_bridge.clock import Clock
from amo_bridge.config.channels import ZadarmaSection
from amo_bridge.config.intake import ZadarmaIntakeSection
from amo_bridge.config.loader import secret
from amo_bridge.config.model import Config
from amo_bridge.errors import ChannelError
from amo_bridge.intake.contacts import phones_in
from amo_bridge.intake.enquiries import EnquiryRepository
from amo_bridge.intake.model import PbxCall
from amo_bridge.intake.reception import VENDORS
from amo_bridge.intake.request import integer, text_at
from amo_bridge.intake.telephony import HANGUP_CAUSES, NOVOFON, ONLINEPBX, ZADARMA_REASONS, is_extension
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.logs import log
from amo_bridge.storage.accounts import Cursors
from amo_bridge.storage.database import AccountStore

# The webhook of a call that has just ended is on its way, and the history shows it a minute later (onlinePBX).
WEBHOOK_WITHIN = timedelta(minutes=3)
# A call stands in the history when it is over, under the time when it began.
LONGEST_CALL = timedelta(hours=2)
# onlinePBX answers for a week at most.
LONGEST_PERIOD = timedelta(days=6)
_NUMBER = re.compile(r"\+?\d{6,}")
LOST = "вебхук не дошёл, звонок взят из истории АТС"


@dataclass(frozen=True)
class PastCall:
    """A client's call that is over."""

    call: PbxCall
    ended_at: datetime


class CallHistory:
    """``tell(text, about)`` tells a person, at most once a day about one thing."""

    def __init__(
        self,
        store: AccountStore,
        exchanges: Mapping[str, Telephony],
        clock: Clock,
        home: str,
        tell: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._exchanges = exchanges
        self._clock = clock
        self._home = home
        self._tell = tell
        self._cursors = Cursors(store)
        self._repository = EnquiryRepository(store, clock, home)

    def run(self) -> int:
        """Ask each exchange; how many lost calls were taken. Raises StoreUnavailable."""
        return sum(self._ask(vendor, exchange) for vendor, exchange in self._exchanges.items())

    def _ask(self, vendor: str, exchange: Telephony) -> int:
        cursor, now = f"calls:{vendor}", self._clock.now()
        read_from = self._cursors.read(cursor)
        if read_from is None:
            # What was before the bridge is none of its business.
            with self._store.write() as connection:
                self._cursors.write(connection, cursor, now.timestamp())
            return 0
        since = datetime.fromtimestamp(read_from, UTC)
        until = min(now - WEBHOOK_WITHIN, since + LONGEST_PERIOD)
        if until <= since:
            return 0
        try:
            calls = past_calls(vendor, exchange, exchange.incoming(since, until), self._home)
        except ChannelError as error:
            log.warning("the exchange's history can't be read", vendor=vendor, error=str(error))
            return 0
        over = [one for one in calls if one.ended_at <= now - WEBHOOK_WITHIN]
        with self._store.write() as connection:
            lost = [
                one.call.key
                for one in over
                if self._repository.add(
                    connection, one.call, request_id=None, received_at=one.ended_at.timestamp(), words=LOST
                )
            ]
            self._cursors.write(connection, cursor, max(since, until - LONGEST_CALL).timestamp())
        if lost:
            title = VENDORS[vendor].title
            log.warning("webhooks of calls were lost", vendor=vendor, calls=lost)
            words = f"{title}: вебхуки о звонках не доходят, мост взял их из истории АТС (звонков: {len(lost)})"
            self._tell(f"{words}. Сверьте адрес вебхука в кабинете АТС: amo-bridge intake addresses", f"calls:{vendor}")
        return len(lost)


# Rows of a history → the calls as their webhooks would have told them.


def past_calls(vendor: str, exchange: Telephony, rows: Sequence[Row], home: str) -> list[PastCall]:
    """The calls that these rows tell of."""
    if isinstance(exchange, Zadarma):
        legs: dict[str, list[Row]] = {}
        for row in rows:
            legs.setdefault(str(row["pbx_call_id"]), []).append(row)
        return [_of_zadarma(vendor, key, of_call, exchange.zone, home) for key, of_call in legs.items()]
    parse = _of_onlinepbx if vendor == ONLINEPBX else _of_novofon2
    return [call for row in rows if (call := parse(row, home)) is not None]


def _of_onlinepbx(row: Row, home: str) -> PastCall | None:
    key, talk = text_at(row, "uuid"), integer(row.get("user_talk_time"))
    ended = integer(row.get("end_stamp")) or integer(row.get("start_stamp")) + integer(row.get("duration"))
    colleague = text_at(row, "destination_number")
    call = PbxCall(
        source=ONLINEPBX,
        key=key,
        direction="in",
        phone=_phone(text_at(row, "caller_id_number"), home),
        talked=talk > 0,
        duration=talk,
        extension=colleague if colleague and is_extension(colleague) else None,
        line=text_at(row, "gateway") or None,
        reason="" if talk else HANGUP_CAUSES.get(text_at(row, "hangup_cause").upper(), ""),
    )
    return PastCall(call, datetime.fromtimestamp(ended, UTC)) if key else None


def _of_novofon2(row: Row, home: str) -> PastCall | None:
    key, talk = text_at(row, "call_session_id") or text_at(row, "id"), integer(row.get("talk_duration"))
    call = PbxCall(
        source=NOVOFON,
        key=f"session:{key}",
        direction="in",
        phone=_phone(text_at(row, "contact_phone_number"), home),
        talked=talk > 0,
        duration=talk,
        line=text_at(row, "virtual_phone_number") or None,
    )
    ended_at = _moment(row.get("start_time"), MOSCOW) + timedelta(seconds=integer(row.get("total_duration")))
    return PastCall(call, ended_at) if key else None


def _of_zadarma(vendor: str, key: str, legs: Sequence[Row], zone: ZoneInfo, home: str) -> PastCall:
    """A call has a row for each telephone that has rung."""
    talks = [row for row in legs if text_at(row, "disposition").casefold() == "answered"]
    row = max(talks or legs, key=lambda leg: integer(leg.get("seconds")))
    numbers = _NUMBER.findall(text_at(row, "clid"))
    colleague, talk = text_at(row, "destination"), integer(row.get("seconds")) if talks else 0
    call = PbxCall(
        source=vendor,
        key=key,
        direction="in",
        phone=_phone(numbers[-1], home) if numbers else None,
        talked=talk > 0,
        duration=talk,
        extension=colleague if colleague and is_extension(colleague) else None,
        reason="" if talk else ZADARMA_REASONS.get(text_at(row, "disposition").casefold(), ""),
    )
    ends = [_moment(leg.get("callstart"), zone) + timedelta(seconds=integer(leg.get("seconds"))) for leg in legs]
    return PastCall(call, max(ends))


def _phone(number: str, home: str) -> str | None:
    return None if is_extension(number) else next(iter(phones_in(number, home)), None)


def _moment(text: object, zone: ZoneInfo) -> datetime:
    """As the history shows it; long ago for one that can't be read."""
    try:
        return datetime.strptime(str(text), DAY_FORMAT).replace(tzinfo=zone)
    except ValueError:
        return datetime.fromtimestamp(0, UTC)


def asked_exchanges(config: Config, environment: Mapping[str, str]) -> dict[str, Telephony]:
    """Those whose webhooks come in and whose API the config knows. Raises ConfigError for a secret's file."""
    if config.intake is None:
        return {}
    own = config.intake.zadarma
    found = exchanges_of(config, environment)
    if isinstance(own, ZadarmaIntakeSection) and own.key and "zadarma" not in found:
        word = secret(environment, "AMO_BRIDGE_INTAKE_ZADARMA_SECRET")
        found = {**found, **({"zadarma": Zadarma(ZadarmaSection(api=own.api, key=own.key), word)} if word else {})}
    return {name: exchange for name, exchange in found.items() if config.intake.of(name) is not None}
