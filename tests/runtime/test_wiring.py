"""What the account got while the bridge works is known to everybody who acts by the rules, from the next round on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, BRIEF, NOON, ScriptedCrm, agency, api_row, clock, on_stage, record, user
from support.running_bridge import config_for

from amo_bridge.clock import AccountClock
from amo_bridge.config.channels import PersonSection, TelegramSection
from amo_bridge.config.model import EveningListSection
from amo_bridge.crm.account import Account
from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.metrics import Metrics
from amo_bridge.errors import CrmUnpaid
from amo_bridge.events import DealMoved
from amo_bridge.rules.option_types import UserName
from amo_bridge.runtime.startup import AccountContext
from amo_bridge.runtime.wiring import CompositionRoot
from amo_bridge.runtime.worker import EVENING
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox, tasks

NEWCOMER = "Елена Орлова"
# 18:31 in Moscow.
EVENING_TIME = NOON.replace(hour=15, minute=31)


def as_it_was(account: Account) -> Account:
    """The account as it was read at the start: a stage and a user are not there yet."""
    return replace(
        account,
        stages=tuple(stage for stage in account.stages if stage.title != BRIEF),
        users=tuple(one for one in account.users if one.name != NEWCOMER),
    )


@pytest.fixture
def context(store: Store, tmp_path: Path) -> AccountContext:
    config = config_for("https://agency.amocrm.ru", tmp_path)
    hands = clock(EVENING_TIME)
    people = {UserName(NEWCOMER): PersonSection(telegram=42)}
    connection = SimpleNamespace(account=lambda refresh=False: agency(), token_ends_at=None, silence=None)
    return AccountContext(
        config=replace(
            config,
            bridge=config.bridge.model_copy(update={"tell": NEWCOMER, "dry_run": False}),
            channels=replace(config.channels, telegram=TelegramSection(), people=people),
            evening_list=EveningListSection(at=time(18, 30)),
        ),
        store=AccountStore(store, ACCOUNT),
        connection=connection,  # type: ignore[arg-type]
        account=as_it_was(agency()),
        clock=hands,
        account_clock=AccountClock(hands),
        settle=0.0,
        destination=None,
        meters=Metrics().of("test"),
        environment={"AMO_BRIDGE_TELEGRAM_TOKEN": "1:x"},
    )


def something_unknown_happens(store: Store) -> None:
    with store.write() as connection:
        moved = DealMoved(at=EVENING_TIME, deal_id=7, **on_stage(BRIEF))
        add_events(connection, ACCOUNT, [moved], EVENING_TIME.timestamp())
        connection.execute(insert(tasks).values(**overdue(user(NEWCOMER))))


def overdue(user_id: int) -> dict[str, Any]:
    return {
        "account": ACCOUNT, "task_id": 1, "entity_type": "deal", "entity_id": 7, "responsible_user_id": user_id,
        "created_by": user_id, "task_type_id": 1, "text": "Отправить отчёт", "is_completed": False,
        "due_at": NOON.timestamp(), "created_at": NOON.timestamp(), "updated_at": NOON.timestamp(),
    }  # fmt: skip


def queued(store: Store, rule: str) -> list[tuple[str, int]]:
    """Kind of the effect, and for whom it is."""
    with store.read() as connection:
        rows = connection.execute(
            select(outbox.c.kind, outbox.c.payload).where(outbox.c.rule == rule).order_by(outbox.c.id)
        )
        bodies = [(row.kind, json.loads(row.payload)["body"]) for row in rows]
    return [(kind, body.get("responsible_user_id") or body.get("user_id")) for kind, body in bodies]


def test_alerts_and_the_evening_digest_reach_whoever_came_while_the_bridge_works(context: AccountContext) -> None:
    store = context.store
    crm: Any = ScriptedCrm(rows={"/api/v4/leads": [api_row(record(BRIEF))]})
    root = CompositionRoot(context, store, crm, crm, ports=lambda at: [])
    worker = root.worker()
    worker.say(CrmUnpaid("не оплачено"))
    assert queued(store.store, "bridge.alarm") == [], "nobody of that name is known yet"
    something_unknown_happens(store.store)
    worker.once()
    assert root.rules.get().account == agency(), "an unknown stage had the account read again"
    worker.request_job(EVENING)
    worker.once()
    worker.say(CrmUnpaid("снова не оплачено"))
    newcomer = user(NEWCOMER)
    assert queued(store.store, "bridge.evening") == [("notify", newcomer)]
    assert queued(store.store, "bridge.alarm") == [("create_task", newcomer), ("notify", newcomer)]


def test_a_config_that_is_taken_soon_after_finds_the_newer_names(context: AccountContext) -> None:
    crm: Any = ScriptedCrm(rows={"/api/v4/leads": [api_row(record(BRIEF))]})
    worker = CompositionRoot(context, context.store, crm, crm, ports=lambda at: []).worker()
    something_unknown_happens(context.store.store)
    worker.once()
    anew = CompositionRoot(context, context.store, crm, crm, ports=lambda at: [])
    assert anew.rules.get().account == agency()
