"""A log line about a deal can be found by its deal, its rule, its event."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

import pytest
import structlog
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs
from support.fakes import (
    ACCOUNT,
    NEW,
    NOON,
    URL,
    ScriptedCrm,
    api_row,
    clock,
    effect,
    nobody,
    queue,
    record,
    rule,
    rule_engine,
    rule_engine_with,
)

from amo_bridge.engine.event_queue import add_events
from amo_bridge.engine.processor import EventProcessor
from amo_bridge.engine.rule_engine import CurrentRules
from amo_bridge.engine.sender import Sender
from amo_bridge.errors import CrmRefused
from amo_bridge.events import DealMoved, Event
from amo_bridge.rules.deal import Deal
from amo_bridge.storage.database import AccountStore, Store

Lines = list[MutableMapping[str, Any]]


@pytest.fixture
def lines() -> Iterator[Lines]:
    """What is logged, with what the log's set-up adds to it."""
    structlog.contextvars.clear_contextvars()
    with capture_logs(processors=[merge_contextvars]) as captured:
        yield captured


def line(lines: Lines, words: str) -> MutableMapping[str, Any]:
    (found,) = (one for one in lines if one["event"] == words)
    return found


def sender(store: Store, crm: ScriptedCrm) -> Sender:
    return Sender(AccountStore(store, ACCOUNT), crm, CurrentRules(rule_engine()), URL, clock())  # type: ignore[arg-type]


def test_a_rule_that_breaks_names_itself_its_deal_and_its_event(store: Store, lines: Lines) -> None:
    def breaks(event: Event, deal: Deal, options: object) -> None:
        raise KeyError("nothing here")

    moved = record(NEW, seconds=1)
    with store.write() as connection:
        told = DealMoved(at=NOON, deal_id=7, pipeline_id=moved.pipeline_id, status_id=moved.status_id)
        add_events(connection, ACCOUNT, [told], NOON.timestamp())
    crm = ScriptedCrm(rows={"/api/v4/leads": [api_row(moved)]})
    judge = rule_engine_with(rule(breaks, "breaking", DealMoved))  # type: ignore[arg-type]
    EventProcessor(AccountStore(store, ACCOUNT), crm, CurrentRules(judge), clock(), nobody(store, crm)).process()  # type: ignore[arg-type]
    logged = line(lines, "rule failed")
    assert (logged["rule"], logged["deal"], logged["event_id"]) == ("breaking.one", 7, 1)
    assert "nothing here" in logged["error"]
    assert structlog.contextvars.get_contextvars() == {}, "the next line is not about this deal"


def test_an_effect_that_is_done_or_refused_names_its_rule_deal_and_event(store: Store, lines: Lines) -> None:
    queue(store, effect("create_task"))
    sender(store, ScriptedCrm(CrmRefused("нет такого", status=400))).send()
    queue(store, effect("add_note"), event_key="another")
    sender(store, ScriptedCrm()).send()
    for words, kind in (("refused", "create_task"), ("done", "add_note")):
        logged = line(lines, words)
        assert (logged["rule"], logged["deal"], logged["event_id"], logged["kind"]) == ("rule.one", 7, 1, kind)
