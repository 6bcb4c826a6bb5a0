"""Auto-dial with a clock moved by hand, an exchange that does as it is told, and an amoCRM that shows one client."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from sqlalchemy import func, select

from amo_bridge.channels.dial import DialPort
from amo_bridge.channels.dial_log import DialLog
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.telephony import AskedCall, CallOrder, CallResult, Telephony
from amo_bridge.config.channels import DialSection, PersonSection
from amo_bridge.config.model import Absence
from amo_bridge.crm.records import DealRecord
from amo_bridge.engine.effects import Effect
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.people import People
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.errors import BridgeError, ChannelBusy, ChannelDown, ChannelRefused, ChannelUncertain
from amo_bridge.events import TouchRecord
from amo_bridge.mirror.touches import add_touches
from amo_bridge.rules.option_types import UserName
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import dial_calls, dials, outbox
from support.fakes import ACCOUNT, BRIEF, NOON, ScriptedCrm, agency, api_row, clock, queue, record, rule_engine

MOSCOW = ZoneInfo("Europe/Moscow")
IVAN, ELENA = "Иван Петров", "Елена Орлова"
STAGE = agency().stage(BRIEF)
OLGA = "8 (916) 123-45-67"
HISTORY = timedelta(seconds=60)


@dataclass
class FakeExchange(Telephony):
    """``script``: what becomes of calls, one after the other; then nobody reaches the client. A line is an outcome
    («talked 45», «manager», «client», «wrong») or what happens to the request: «lost talked 45» (called, but the
    answer is lost), «vanished» (nobody will ever know), «down», «busy», «refused», «silent» (taken, never called)."""

    vendor: ClassVar[str] = "onlinepbx"

    now: Callable[[], datetime] = lambda: NOON
    script: list[str] = field(default_factory=list)
    asked: list[CallOrder] = field(default_factory=list)
    known: dict[str, tuple[datetime, CallResult]] = field(default_factory=dict)
    gives_ref: bool = True
    is_reachable: bool = True
    looks: int = 0
    error: Exception | None = None

    def check(self) -> str:
        return "пускает"

    def call(self, order: CallOrder) -> str:
        told = self.script.pop(0) if self.script else "client"
        if told == "down":
            raise ChannelDown("АТС лежит")
        if told == "busy":
            raise ChannelBusy("позже", retry_after=120)
        self.asked.append(order)
        if told == "refused":
            raise ChannelRefused("нет денег")
        if told == "vanished":
            raise ChannelUncertain("ответ потерян")
        if told == "silent":
            return f"u-{order.ref}"
        is_lost = told.startswith("lost ")
        end, _, seconds = told.removeprefix("lost ").partition(" ")
        result = CallResult(end, int(seconds or 0), "" if end == "talked" else "занято", f"u-{order.ref}")  # type: ignore[arg-type]
        self.known[order.ref] = (self.now() + timedelta(seconds=int(seconds or 0)) + HISTORY, result)
        if is_lost:
            raise ChannelUncertain("ответ потерян")
        return f"u-{order.ref}" if self.gives_ref else ""

    def fails(self, error: Exception | None) -> None:
        """The history answers with this from now on."""
        self.error = error

    def find(self, call: AskedCall) -> CallResult | None:
        self.looks += 1
        if not self.is_reachable:
            raise ChannelDown("АТС лежит")
        if self.error is not None:
            raise self.error
        shown_at, result = self.known.get(call.ref, (datetime.max.replace(tzinfo=UTC), None))
        return result if self.now() >= shown_at else None


class DialOffice:
    """One deal on its stage, its client Ольга, its manager Иван at extension 101."""

    def __init__(self, store: Store, moment: datetime = NOON, exchange: FakeExchange | None = None) -> None:
        self.store = AccountStore(store, ACCOUNT)
        self.hands = clock(moment)
        self.exchange = exchange or FakeExchange()
        self.exchange.now = self.hands.now
        self.options = DialSection()
        self.people: dict[str, dict[str, Any]] = {IVAN: {"extension": "101"}, ELENA: {"extension": "102"}}
        self.absences: dict[UserName, tuple[Absence, ...]] = {}
        self.dry_run = False
        self.crm = ScriptedCrm()
        self.deals: dict[int, DealRecord] = {}
        self.contacts: dict[int, dict[str, Any]] = {}
        self.client(7, OLGA)
        self.restart()

    def restart(self) -> None:
        """The process dies and comes back."""
        port = DialPort(
            self.exchange,
            self.store,
            self.crm,
            self.rule_engine,
            self.hands,
            self.hands,  # type: ignore[arg-type]
        )
        self.lane = ChannelSender(self.store, port, self.hands, self.hands)
        self.lane.recover()

    def client(self, deal_id: int, *phones: str, tags: tuple[str, ...] = (), **changed: Any) -> None:
        """The deal and its client, as amoCRM shows them from now on."""
        contact_id = 1000 + deal_id
        facts = {"main_contact_id": contact_id, "contact_ids": (contact_id,)} | changed
        self.deals[deal_id] = record(BRIEF, deal_id, **facts)
        cells = [{"field_id": 1, "field_code": "PHONE", "values": [{"value": phone} for phone in phones]}]
        self.contacts[contact_id] = {
            "id": contact_id,
            "name": "Ольга",
            "custom_fields_values": cells if phones else None,
            "_embedded": {"tags": [{"name": tag} for tag in tags]},
        }
        self._show()

    def change(self, deal_id: int = 7, **changed: Any) -> None:
        self.deals[deal_id] = replace(self.deals[deal_id], **changed)
        self._show()

    def contact_field(self, name: str, value: str, deal_id: int = 7) -> None:
        field_id = agency().field(name, "contacts").id
        cells = self.contacts[1000 + deal_id]["custom_fields_values"]
        cells.append({"field_id": field_id, "values": [{"value": value}]})

    def _show(self) -> None:
        self.crm.rows["/api/v4/leads"] = [api_row(deal) for deal in self.deals.values()]
        self.crm.rows["/api/v4/contacts"] = list(self.contacts.values())

    def rule_engine(self) -> RuleEngine:
        engine = rule_engine()
        people = {UserName(name): PersonSection.model_validate(told) for name, told in self.people.items()}
        channels = replace(engine.config.channels, dial=self.options, people=people)
        bridge = engine.config.bridge.model_copy(update={"dry_run": self.dry_run})
        config = replace(engine.config, channels=channels, bridge=bridge, absences=self.absences)
        return replace(engine, config=config, people=People(agency(), config.roles, self.absences))

    def start(self, deal_id: int = 7, key: str = "start") -> None:
        body = {"stage": list(STAGE.key), "user_id": 0}
        queue(
            self.store.store,
            Effect("start_auto_dial", deal_id, body, "автодозвон включён"),
            event_key=f"{key} {deal_id}",
        )
        self.round()

    def stop(self, because: str = "клиент ответил") -> None:
        effect = Effect("stop_auto_dial", 7, {"because": because}, "автодозвон выключен")
        queue(self.store.store, effect, event_key=f"stop {because}")
        self.round()

    def round(self) -> None:
        """All that is to be done at this moment; an outage is waited out."""
        for _ in range(50):
            try:
                if not self.lane.send():
                    return
            except BridgeError:
                self.lane.recover()
                return
        raise AssertionError("it never comes to rest")

    def until(self, moment: datetime) -> None:
        """Time passes, from one thing that is due to the next."""
        while self.hands.now() < moment and (due := self._next_due()) is not None and due <= moment:
            # What is due and can't be done stays due.
            self.hands.move_to(max(due, self.hands.now() + timedelta(seconds=1 if due > self.hands.now() else 600)))
            self.round()
        self.hands.move_to(max(moment, self.hands.now()))
        self.round()

    def pass_time(self, **time: float) -> None:
        self.until(self.hands.now() + timedelta(**time))

    def _next_due(self) -> datetime | None:
        waiting = select(func.min(dials.c.next_at)).where(dials.c.state == "waiting")
        looking = select(func.min(dial_calls.c.look_at)).where(dial_calls.c.state.in_(("placed", "doubt")))
        with self.store.read() as connection:
            found = [value for query in (waiting, looking) if (value := connection.execute(query).scalar()) is not None]
        return datetime.fromtimestamp(min(found), UTC) if found else None

    @property
    def log(self) -> DialLog:
        return DialLog(self.store)

    @property
    def calls(self) -> list[str]:
        """When the exchange was asked for calls, by Moscow's clock, and whose telephone it rang first."""
        with self.store.read() as connection:
            rows = connection.execute(select(dial_calls).order_by(dial_calls.c.id)).all()
        asked = {order.ref for order in self.exchange.asked}
        return [
            f"{datetime.fromtimestamp(row.asked_at, MOSCOW):%d.%m %H:%M} {row.extension} {row.state}"
            for row in rows
            if row.ref in asked
        ]

    @property
    def times(self) -> list[str]:
        return [call[:11] for call in self.calls]

    def dial(self, deal_id: int = 7) -> Any:
        with self.store.read() as connection:
            query = select(dials).where(dials.c.deal_id == deal_id).order_by(dials.c.id.desc())
            return connection.execute(query).first()

    def journal(self, deal_id: int = 7) -> list[str]:
        return [entry.reason for entry in Journal(self.store).of_deal(deal_id) if entry.what == "автодозвон"]

    def follows(self) -> list[Mapping[str, Any]]:
        """What is to be done in amoCRM because of it."""
        import json

        with self.store.read() as connection:
            kinds = ("create_task", "add_note")
            rows = connection.execute(select(outbox.c.payload).where(outbox.c.kind.in_(kinds)).order_by(outbox.c.id))
            return [json.loads(payload)["body"] for payload in rows.scalars()]

    def talk(self, minutes_ago: float = 0, seconds: int = 60, direction: str = "out", uniq: str = "w-1") -> None:
        """Somebody has talked with the client, and a note on the card says so."""
        at = self.hands.now() - timedelta(minutes=minutes_ago)
        touch = TouchRecord(
            key=f"call {uniq} {at.timestamp()}",
            kind="call",
            direction=direction,
            at=at,
            card=("deal", 7),
            seconds=seconds,
            phone="+79161234567",
            uniq=uniq,
        )
        with self.store.write() as connection:
            add_touches(connection, ACCOUNT, [touch])


def moscow(day: int, hour: int, minute: int = 0, month: int = 11) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=MOSCOW).astimezone(UTC)
