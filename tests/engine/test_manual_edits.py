"""What a person saves on a page: sent like everything else, and news to the rules."""

from __future__ import annotations

import pytest
from sqlalchemy import select, update
from support.fakes import ACCOUNT, agency, clock

from amo_bridge.engine.journal import Journal
from amo_bridge.engine.manual_edits import BY_PERSON, ManualEdit, ManualEdits
from amo_bridge.engine.outbox import Outbox
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import outbox

FIELD = agency().field("Услуги")


@pytest.fixture
def page(store: Store) -> ManualEdits:
    return ManualEdits(AccountStore(store, ACCOUNT), clock(), "services")


def test_it_waits_in_the_outbox_and_stands_in_the_journal(store: Store, page: ManualEdits) -> None:
    page.fill(7, FIELD, "Бузова", "Анна")
    (row,) = Outbox(AccountStore(store, ACCOUNT), clock()).take("ready")
    assert (row.kind, row.deal_id) == ("patch_deal", 7)
    assert row.body["custom_fields_values"] == [{"field_id": FIELD.id, "values": [{"value": "Бузова"}]}]
    assert row.payload[BY_PERSON]
    (entry,) = Journal(AccountStore(store, ACCOUNT)).of_deal(7)
    assert entry.reason == "Анна: поле «Услуги» сохранено"


def test_the_last_saving_is_told_with_what_became_of_it(store: Store, page: ManualEdits) -> None:
    assert page.last(7) is None
    page.fill(7, FIELD, "первое", "Анна")
    page.fill(7, FIELD, "", "Анна")
    assert page.last(7) == ManualEdit("", "ready")
    with store.write() as connection:
        last = select(outbox.c.id).order_by(outbox.c.id.desc()).limit(1).scalar_subquery()
        connection.execute(update(outbox).where(outbox.c.id == last).values(state="failed", error="нет прав"))
    told = page.last(7)
    assert told is not None
    assert (told.is_under_way, told.error) == (False, "нет прав")
    assert page.last(8) is None
