"""What the engine's tests share: the agency's account, its deals, rules made of a line, an amoCRM told what to say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import select

from amo_bridge.clock import FixedClock
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.records import DealRecord
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.dates.calendar import CalendarOptions
from amo_bridge.engine.dispatcher import Dispatcher, Verdict
from amo_bridge.engine.effects import Effect, Kind
from amo_bridge.engine.outbox import Outbox
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.engine.timers import Timetable
from amo_bridge.events import Event, StageEntered, StepDue
from amo_bridge.mirror.contacts import ContactRefresher
from amo_bridge.rules.actions import AddNote
from amo_bridge.rules.deal import Deal, Missing
from amo_bridge.rules.handler import Handler, Judge, Options, Rule, Schedule, StepsOf, never
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox
from support.local_crm import TOKEN, served
from support.running_bridge import config_for

# A Monday, noon in Moscow, where the agency is.
NOON = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
ACCOUNT = 1
URL = "https://agency.amocrm.ru"
BRIEF = "Продажи / Бриф получен"
MEETING = "Продажи / Встреча назначена"
NEW = "Продажи / Новый клиент"
OFFER = "Продажи / Согласование КП"
LOST = "Продажи / Закрыто и не реализовано"


def client_of(url: str) -> CrmClient:
    return CrmClient(url, LongLivedToken(TOKEN), LocalRateLimiter(5000), max_retry_wait=0.1)


@cache
def agency() -> Account:
    """The account that a new sandbox has, read once for all tests."""
    with served(load_world()) as crm:
        return Account.read(client_of(crm.url))


def clock(moment: datetime = NOON) -> FixedClock:
    return FixedClock(moment)


def user(name: str) -> int:
    return agency().user(name).id


def at(seconds: float) -> datetime:
    """So many seconds after noon."""
    return NOON + timedelta(seconds=seconds)


def record(on: str = NEW, deal_id: int = 7, seconds: float = 0, **changed: Any) -> DealRecord:
    """A deal as amoCRM told it, last changed ``seconds`` after noon. ``fields`` by name."""
    stage = agency().stage(on)
    fields = {agency().field(name).id: values for name, values in changed.pop("fields", {}).items()}
    facts: dict[str, Any] = {
        "id": deal_id,
        "name": "Ромашка",
        "pipeline_id": stage.pipeline_id,
        "status_id": stage.status_id,
        "responsible_user_id": user("Иван Петров"),
        "created_at": at(-86400),
        "updated_at": at(seconds),
        "fields": fields,
    }
    return DealRecord(**(facts | changed))


class NoOptions(Options):
    """A rule that has nothing to set."""


def rule(
    judge: Judge,
    name: str = "rule",
    on: type[Event] | tuple[type[Event], ...] = StageEntered,
    *,
    gate: bool = False,
    needs: Sequence[Any] = (),
    **switches: Any,
) -> Rule:
    kinds = on if isinstance(on, tuple) else (on,)
    handler = Handler(
        name=name, on=kinds, options=NoOptions, judge=judge, gate=gate, needs=frozenset(needs), summary="", covers=""
    )  # fmt: skip
    return Rule(handler=handler, block="one", options=NoOptions(), **({"enabled": True} | switches))


def scheduled(steps: StepsOf, name: str = "clock", judge: Judge | None = None, **switches: Any) -> Rule:
    """A rule of the clock's, switched on. Without ``judge`` it notes down each step that falls due."""
    how = Schedule(
        name=name, on=(StepDue,), options=switches.pop("options", NoOptions), judge=judge or _note_it, gate=False,
        needs=frozenset(), summary="", covers="", steps=steps, recurs=switches.pop("recurs", never),
    )  # fmt: skip
    return Rule(handler=how, block="one", options=how.options(), **({"enabled": True} | switches))


def _note_it(event: StepDue, deal: Any, options: Any) -> AddNote:
    return AddNote(deal_id=event.deal_id, text=event.step)


def timetable_of(*rules: Rule, hands: FixedClock | None = None) -> Timetable:
    options = CalendarOptions()
    return Timetable(rules, rule_engine().viewer, options.calendar("Europe/Moscow"), options, hands or clock())


def verdict(*effects: Effect, name: str = "rule", event_key: str = "event") -> Verdict:
    """A verdict that acts."""
    said = rule(lambda event, deal, options: [], name)
    return Verdict(said, Event(at=NOON), event_key, "acts", effects=effects)


def effect(kind: Kind = "create_task", deal_id: int = 7, text: str = "Позвонить", **more: Any) -> Effect:
    bodies: Mapping[str, Mapping[str, Any]] = {
        "create_task": {
            "text": text,
            "complete_till": int(at(3600).timestamp()),
            "responsible_user_id": user("Иван Петров"),
            "entity_id": deal_id,
            "entity_type": "leads",
            "task_type_id": 1,
        },
        "add_note": {"entity_id": deal_id, "note_type": "common", "params": {"text": text}},
        "patch_deal": {"id": deal_id, "price": 100},
        "change_task": {"id": 55, "text": text},
        "create_deal": {"name": text, **on_stage(NEW), "responsible_user_id": user("Иван Петров")},
    }
    body = more.pop("body", bodies[kind])
    return Effect(kind, deal_id, body, words=f"{kind} «{text}»", **more)


def on_stage(title: str) -> dict[str, Any]:
    stage = agency().stage(title)
    return {"pipeline_id": stage.pipeline_id, "status_id": stage.status_id}


def nobody(store: Store, crm: Any) -> ContactRefresher:
    """The keeper of an index that is still empty."""
    return ContactRefresher(AccountStore(store, ACCOUNT), crm, clock())


class Around:
    """What lies around every deal, ready to be looked at; ``asked``: which rules looked at something unread."""

    def __init__(self, **what: Any) -> None:
        self.what = what
        self.asked: list[str] = []

    def loaded(self, rule: Rule, deal: Deal) -> Deal:
        unread: dict[str, Any] = {need: Missing(need) for need in rule.needs}
        return replace(deal, **unread)

    def load(self, rule: Rule, deal: Deal) -> Deal:
        self.asked.append(f"{rule.name} {deal.id}")
        return replace(deal, **{need: self.what[need] for need in rule.needs})


class ScriptedCrm:
    """Stands for the client: answers as told, and remembers what it was asked.

    ``answers`` are exceptions to raise, one per write; when they are used up, writes succeed. ``rows`` are what lists
    show, by path.
    """

    def __init__(
        self, *answers: Exception | None, rows: Mapping[str, Sequence[Mapping[str, Any]]] | None = None
    ) -> None:
        self.answers = list(answers)
        self.rows = dict(rows or {})
        self.asked: list[tuple[str, str]] = []
        self.written: list[tuple[str, str, list[dict[str, Any]]]] = []
        self._next_id = 1000

    def get(self, path: str, params: Any = None) -> dict[str, Any] | None:
        self.asked.append(("GET", path))
        if path in self.rows:
            return {"_embedded": {path.rsplit("/", 1)[-1]: list(self.rows[path])}}
        parent, _, number = path.rpartition("/")
        return next((dict(row) for row in self.rows.get(parent, ()) if str(row["id"]) == number), None)

    def pages(self, path: str, params: Any, key: str, limit: int = 250) -> Iterator[Mapping[str, Any]]:
        self.asked.append(("GET", path))
        yield from self.rows.get(path, ())

    def post(self, path: str, body: Any) -> Any:
        return self._write("POST", path, body)

    def patch(self, path: str, body: Any) -> Any:
        return self._write("PATCH", path, body)

    def _write(self, method: str, path: str, body: list[dict[str, Any]]) -> Any:
        self.asked.append((method, path))
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        self.written.append((method, path, body))
        name = path.rsplit("/", 1)[-1]
        return {"_embedded": {name: [self._answered(item) for item in body]}}

    def _answered(self, item: Mapping[str, Any]) -> dict[str, Any]:
        if "id" in item:
            return {"id": item["id"], "updated_at": int(at(60).timestamp())}
        self._next_id += 1
        return {"id": self._next_id, "request_id": item["request_id"]}


@cache
def rule_engine() -> RuleEngine:
    """Everything that judges, by the shipped example's config."""
    return RuleEngine.of(config_for(URL, Path("unused")), agency(), clock())


def queue(store: Store, *effects: Effect, event_key: str = "event", name: str = "rule") -> None:
    """What a rule decided goes into the outbox."""
    with store.write() as connection:
        Outbox(AccountStore(store, ACCOUNT), clock()).add(
            connection, 1, verdict(*effects, name=name, event_key=event_key)
        )


def states(store: Store) -> list[str]:
    """The states of all effects, oldest first."""
    with store.read() as connection:
        return list(connection.execute(select(outbox.c.state).order_by(outbox.c.id)).scalars())


def errors(store: Store) -> list[str]:
    with store.read() as connection:
        return [error or "" for error in connection.execute(select(outbox.c.error).order_by(outbox.c.id)).scalars()]


def rule_engine_with(*rules: Rule, **parts: Any) -> RuleEngine:
    """The same with other rules, and other parts if need be."""
    dispatcher = Dispatcher(rules, rule_engine().resolver, agency(), clock(), dry_run=False, opt_out_tag="без робота")
    return replace(rule_engine(), **({"dispatcher": dispatcher, "timetable": timetable_of(*rules)} | parts))


def api_row(of: DealRecord) -> dict[str, Any]:
    """The deal as amoCRM's API shows it."""
    return {
        "id": of.id,
        "name": of.name,
        "price": of.price,
        "pipeline_id": of.pipeline_id,
        "status_id": of.status_id,
        "responsible_user_id": of.responsible_user_id,
        "created_at": int(of.created_at.timestamp()),
        "updated_at": int(of.updated_at.timestamp()),
        "custom_fields_values": [
            {"field_id": number, "values": [{"value": value} for value in values]}
            for number, values in of.fields.items()
        ],
        "_embedded": {
            "tags": [{"name": tag} for tag in of.tags],
            "contacts": [{"id": one, "is_main": one == of.main_contact_id} for one in of.contact_ids],
        },
    }
