"""A dry run is never told as done: how often it would have been, and what makes the rule dry."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from support.api_client import Program
from support.local_crm import LocalCrm
from support.pages import Pages, Visit, agency, words_of
from support.running_bridge import RunningBridge

from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.rules.handler import dry_reason, dry_sources
from amo_bridge.web.auth.users import Role
from amo_bridge.web.context import EXTENSION
from amo_bridge.web.services.overview import midnights

RULE = "stage_creates_tasks.new_client"
PAGE = f"/rules/{RULE}"


def make_dry(pages: Pages, *, bridge: bool, rule: bool, is_on: bool = True) -> None:
    config = pages.bridge.config
    rules = tuple(
        replace(one, dry_run=rule, enabled=is_on) if one.name == RULE else one for one in config.rules
    )  # fmt: skip
    pages.bridge.config = replace(
        config, rules=rules, bridge=config.bridge.model_copy(update={"dry_run": bridge})
    )  # fmt: skip


@pytest.fixture
def known(pages: Pages) -> Pages:
    pages.know_account(agency())
    return pages


@pytest.mark.parametrize(
    ("bridge", "rule", "is_on", "state", "way", "sources"),
    [
        (False, False, True, "включено", "live", []),
        (False, True, True, "вхолостую это правило", "dry", ["rule"]),
        (True, False, True, "вхолостую весь мост", "live", ["bridge"]),
        (True, True, True, "вхолостую весь мост и это правило", "dry", ["bridge", "rule"]),
        (False, False, False, "выключено", "off", []),
        (True, False, False, "выключено", "off", ["bridge"]),
    ],
    ids=["neither", "rule", "bridge", "both", "off", "off, bridge"],
)
def test_where_the_dryness_comes_from(
    known: Pages,
    admin: Visit,
    bridge: bool,
    rule: bool,
    is_on: bool,
    state: str,
    way: str,
    sources: list[str],
) -> None:
    make_dry(known, bridge=bridge, rule=rule, is_on=is_on)
    page = admin.get(PAGE)
    words = words_of(page)
    assert f"{state} {RULE}" in words
    assert re.findall(r'value="(\w+)" aria-pressed="true"', page.text) == [way]
    assert ("какой бы ни была его dry_run" in words) == bridge
    assert f"{RULE} {state} " in words_of(admin.get("/rules"))
    found = next(one for one in known.bridge.config.rules if one.name == RULE)
    assert list(dry_sources(found, is_bridge_dry=bridge)) == sources


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ((), ""),
        (("rule",), "вхолостую: это правило (dry_run)"),
        (("bridge", "rule"), "вхолостую: весь мост ([bridge] dry_run) и это правило (dry_run)"),
    ],
)
def test_the_journals_words(sources: tuple[str, ...], words: str) -> None:
    assert dry_reason(sources) == words  # type: ignore[arg-type]


def test_what_would_have_been_done_is_counted_apart(known: Pages, admin: Visit) -> None:
    make_dry(known, bridge=False, rule=True)
    now = datetime.now(UTC)
    known.say("acts", at=now - timedelta(seconds=3))
    for _ in range(2):
        known.say("would_act", at=now)
    known.say("would_act", at=now - timedelta(days=20))
    today = known.account.history.by_stretch(midnights(now, known.account.zone, 14))[-1]
    assert (today.acted, today.would_act) == (1, 2)
    page = admin.get("/overview/days")
    assert "Сработало бы (вхолостую)" in words_of(page)
    assert 'data-value="1">1</td><td class="number" data-value="2">2</td>' in page.text
    assert "сработало бы 2 × за 14 дней" in words_of(admin.get("/rules")), "older ones are not of these days"
    assert "Сработало бы за 14 дней 2 последний раз" in words_of(admin.get(PAGE))


def test_a_rule_that_only_ran_dry_is_not_told_as_never(known: Pages, admin: Visit) -> None:
    known.say("would_act")
    assert "сработало бы 1 × за 14 дней" in words_of(admin.get("/rules"))
    assert "14 дней" not in words_of(admin.get("/rules/file_moves_deal.commercial_offer"))


def test_programs_are_told_the_same(known: Pages, admin: Visit) -> None:
    make_dry(known, bridge=True, rule=False)
    known.say("would_act")
    told = Program(known, Role.VIEWER).get(f"/rules/{RULE}")
    assert (told["dry_run"], told["dry_because"], told["would_act"]) == (False, ["bridge"], 1)
    assert (told["last_acted"], told["last_would_act"][:2]) == (None, "20")
    day = Program(known, Role.VIEWER).get("/overview/days")["days"][-1]
    assert (day["acted"], day["would_act"]) == (0, 1)


def test_a_dry_bridge_tells_of_a_deal_what_it_would_have_done(
    start_bridge: Callable[..., RunningBridge], config: Config, office: CrmUser, sandbox: LocalCrm
) -> None:
    dry = replace(config, bridge=config.bridge.model_copy(update={"dry_run": True}))
    bridge = start_bridge(dry).wait_ready()
    who = "Иван Петров"
    deal = office.new_deal(who, "Ромашка", "Продажи / Новый клиент", office.new_contact(who, "Ольга"), 0)
    bridge.settle(sandbox)
    assert office.tasks(deal) == []
    (entry,) = [one for one in bridge.journal(deal) if one.rule == RULE]
    assert (entry.verdict, entry.reason) == ("would_act", "вхолостую: весь мост ([bridge] dry_run)")
    users = bridge.app.extensions[EXTENSION].users
    viewer = Visit(bridge.app.test_client())
    viewer.become(users.sit_down(users.add("Вера", Role.VIEWER).id))
    words = words_of(viewer.get(f"/deals/{deal}"))
    assert "вхолостую: весь мост ([bridge] dry_run)" in words
    assert "готово" not in words
    assert "сделало бы: задача" in words_of(viewer.get("/"))
    assert "сработало бы 1 × за 14 дней" in words_of(viewer.get("/rules"))
    account = bridge.app.extensions[EXTENSION].account_at(None)
    today = account.history.by_stretch(midnights(datetime.now(UTC), account.zone, 14))[-1]
    assert today.acted == 0
    assert today.would_act >= 1
