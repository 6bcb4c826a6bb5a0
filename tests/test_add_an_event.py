"""docs/add-an-event.md, followed: the code of the page, from a body to a rule's verdict in the journal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import insert, select
from support.fakes import ACCOUNT, NEW, NOON, ScriptedCrm, api_row, clock, nobody, record, rule_engine_with

from amo_bridge import events
from amo_bridge.crm import webhooks
from amo_bridge.engine.event_queue import decode_new
from amo_bridge.engine.journal import Journal
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.events import Event, Unrecognised, reported
from amo_bridge.events.base import from_json, to_json
from amo_bridge.rules.handler import Rule
from amo_bridge.rules.registry import own
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events as event_rows
from amo_bridge.storage.tables import inbox, outbox

PAGE = Path(__file__).parent.parent / "docs" / "add-an-event.md"
BODY = (
    f"invoices[pay][0][id]=31&invoices[pay][0][lead_id]=7&invoices[pay][0][sum]=50000"
    f"&invoices[pay][0][paid_at]={int(NOON.timestamp())}&account[id]=1"
).encode()
DEALS = "/api/v4/leads"


def written_into(module: Any, code: str) -> dict[str, Any]:
    """The module's names, with those that this code adds to it; the module itself stays as it is."""
    names = dict(vars(module))
    exec(compile(code, module.__file__, "exec", dont_inherit=True), names)
    return names


@pytest.fixture(scope="module")
def paid(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rule]:
    """The page's rule, when event and decoder are written where the page says. Once: a stored event finds its class by
    name."""
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.MULTILINE | re.DOTALL)
    event, decoder, root, handler = blocks
    folder = tmp_path_factory.mktemp("handlers")
    (folder / "paid_invoice_gets_note.py").write_text(handler, "utf-8")
    with pytest.MonkeyPatch.context() as patch:
        event_class = written_into(reported, event)["InvoicePaid"]
        for module in (reported, events, webhooks):
            patch.setattr(module, "InvoicePaid", event_class, raising=False)
        decode: Callable[..., Event] = written_into(webhooks, decoder)["decode_invoice"]
        patch.setattr(webhooks, "decode_invoice", decode, raising=False)
        patch.setattr(webhooks, "_ROOTS", written_into(webhooks, root)["_ROOTS"])
        code = own("handlers", folder)["paid_invoice_gets_note"]
        yield Rule(handler=code, block="one", options=code.options(), enabled=True, clause="A1")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    opened = Store.in_folder(tmp_path)
    opened.prepare()
    return opened


def test_the_page_names_two_files_at_most() -> None:
    table = [line for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| [")]
    assert len(table) <= 2


def test_the_body_becomes_the_event_and_comes_back_from_the_store(paid: Rule) -> None:
    (event,) = webhooks.decode(BODY)
    assert type(event).__name__ == "InvoicePaid"
    assert (event.at, event.about_deal_id, event.dedup_key) == (NOON, 7, "invoice_paid:31")
    assert event.label == "счёт 31 оплачен: 50000 ₽"
    assert from_json(json.loads(json.dumps(to_json(event)))) == event


@pytest.mark.parametrize("body", [BODY.replace(b"lead_id", b"deal"), BODY.replace(b"[pay]", b"[draft]")])
def test_what_is_no_such_event_is_kept_as_unrecognised(paid: Rule, body: bytes) -> None:
    (event,) = webhooks.decode(body)
    assert isinstance(event, Unrecognised)


def test_a_rule_hears_it_once_and_the_journal_says_so(paid: Rule, store: Store) -> None:
    body = {"account": ACCOUNT, "received_at": NOON.timestamp(), "body": BODY, "state": "new"}
    with store.write() as connection:
        connection.execute(insert(inbox), [body, body])
    decode_new(AccountStore(store, ACCOUNT))
    with store.read() as connection:
        rows = connection.execute(select(event_rows.c.key, event_rows.c.deal_id)).all()
    assert [tuple(row) for row in rows] == [("invoice_paid:31", 7)]
    crm = ScriptedCrm(rows={DEALS: [api_row(record(NEW))]})
    processor = EventProcessor(
        AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine_with(paid)), clock(), nobody(store, crm)
    )  # type: ignore[arg-type]
    assert processor.process() == 1
    came, decided = Journal(AccountStore(store, ACCOUNT)).of_deal(7)
    assert (came.what, came.verdict) == ("счёт 31 оплачен: 50000 ₽", "came")
    assert (decided.rule, decided.verdict) == ("paid_invoice_gets_note.one", "acts")
    with store.read() as connection:
        (payload,) = connection.execute(select(outbox.c.payload)).scalars()
    assert "Оплачено 50000 ₽" in payload
