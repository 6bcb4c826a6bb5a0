"""The config of a start: the account's names, what can be done without taken out, what can't be switched off."""

from __future__ import annotations

import random
import tomllib
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from support.local_crm import TOKEN, served
from support.provision_accounts import bare_account, crm_with

from amo_bridge.config.account_fit import fit, unknown_names
from amo_bridge.config.loader import load_text
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.provision.plan import plan
from amo_bridge.provision.requirements import Wanted
from amo_bridge.sandbox.account_file import SHIPPED
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.start.draft import Choice, Draft, Drafting
from amo_bridge.start.matching import Matching
from amo_bridge.start.regulations import REGULATIONS, Regulation

PLACE = Path("config.toml")
DAY = date(2026, 11, 30)
WITH_RULES = [one for one in REGULATIONS if one.file]
OWN_ACCOUNT = {one.name: one.name for one in WITH_RULES} | {"webinar": "school"}


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Account]:
    """Every shipped account, and one as amoCRM makes it."""

    def read(url: str) -> Account:
        return Account.read(CrmClient(url, LongLivedToken(TOKEN), LocalRateLimiter(5000.0)))

    found = {}
    for name, path in SHIPPED.items():
        with served(load_world(path)) as crm:
            found[name] = read(crm.url)
    with crm_with(bare_account(task_types=[], loss_reasons=[]) | _own_types(), tmp_path_factory.mktemp("new")) as crm:
        found["new"] = read(crm.url)
    return found


def _own_types() -> dict[str, Any]:
    return {"task_types": [{"id": 1, "name": "Связаться"}, {"id": 2, "name": "Встреча"}]}


def drafted(
    regulation: Regulation, account: Account, answers: dict[str, str | None] | None = None, **more: Any
) -> Draft:
    """``answers``: what a person says; of all that is not in them: there is none."""
    drafting = Drafting(Choice(regulation, "https://x.amocrm.ru", **more), PLACE, DAY)
    matching = Matching(drafting.asked, account, dict(answers or {}))
    while found := matching.open_round():
        for one in found:
            matching.answer(one, one.found)
    return drafting.draft(matching, account)


@pytest.mark.parametrize("regulation", WITH_RULES, ids=lambda one: one.name)
def test_on_its_own_account_every_rule_of_a_regulation_is_on(
    accounts: dict[str, Account], regulation: Regulation
) -> None:
    draft = drafted(regulation, accounts[OWN_ACCOUNT[regulation.name]])
    assert (draft.off, draft.trimmed, draft.lacking) == ([], [], [])
    assert draft.rules == sum(one.rules for one in regulation.parts) > 10
    assert draft.config.bridge.dry_run
    written = tomllib.loads(draft.text)
    for rule in draft.config.rules:
        section, handler, block = rule.path
        assert written[section][handler][block] == regulation.tree[section][handler][block], "not a word is changed"


@pytest.mark.parametrize("account", ["new", "smm", "agency"])
@pytest.mark.parametrize("regulation", REGULATIONS, ids=lambda one: one.name)
def test_on_any_other_account_the_check_has_nothing_to_say(
    accounts: dict[str, Account], regulation: Regulation, account: str
) -> None:
    """Whatever is missing: rules are off, or without a part, and each says why."""
    draft = drafted(regulation, accounts[account])
    assert [one for one in fit(draft.config, accounts[account]).problems if "скрипт" not in one] == []
    assert all(one.why for one in draft.off)
    for one in draft.off:
        assert f"[{'.'.join(one.unit[:2])}" in draft.text, "what is off stands there all the same"
    assert draft.rules + len([one for one in draft.off if len(one.unit) == 3]) == sum(
        one.rules for one in regulation.parts
    )
    assert (
        max(len(line) for line in draft.text.split("\n") if line.startswith("# В аккаунте")) <= 120
        if ("# В аккаунте" in draft.text)
        else True
    )


SALES = Regulation("one", "Одно", "", "config.example.toml", (), {"head": "руководитель"})


def test_names_that_the_account_spells_otherwise_stand_in_rules_and_in_what_they_say(
    accounts: dict[str, Account],
) -> None:
    answers = {
        "воронка Продажи": "Воронка",
        "этап Продажи / Новый клиент": "Воронка / Первичный контакт",
        "сотрудник Елена Орлова": "Елена Орлова",
    }
    draft = drafted(REGULATIONS[0], accounts["new"], answers, parts=("Воронка «Продажи»",))
    rule = tomllib.loads(draft.text)["handlers"]["stage_creates_tasks"]["new_client"]
    assert rule["stages"] == ["Воронка / Первичный контакт"]
    assert rule["says"].startswith("Сделка пришла на «Первичный контакт»")
    assert "enabled = true" in draft.text


def test_a_field_of_another_type_is_said_to_be_there(accounts: dict[str, Account]) -> None:
    """«There is none» would send people to look for what they see in amoCRM."""
    remote = next(one for one in REGULATIONS if one.name == "remote")
    account = accounts["remote"]
    fields = tuple(replace(one, type="text") if one.name == "Клиент оплатит" else one for one in account.all_fields)
    draft = drafted(remote, replace(account, all_fields=fields))
    told = {one.name: one.why for one in draft.off}
    words = "в аккаунте нет: поле «Клиент оплатит» нужного типа (нужен — дата, сейчас — текст)"
    assert told["stage_needs_fields.payment_day"] == words


def test_an_accounts_name_is_one_line_of_the_file(accounts: dict[str, Account]) -> None:
    account = replace(accounts["new"], name='Школа {x} "и"\n[bridge]\ndry_run = false')
    draft = drafted(REGULATIONS[-1], account)
    assert 'Школа {x} "и" [bridge] dry_run = false. Регламент' in draft.text.split("\n")[0]
    assert draft.config.bridge.dry_run


def test_what_a_rule_can_do_without_is_taken_out_of_it(accounts: dict[str, Account]) -> None:
    """A stage that is not there holds nobody up; of who may pass, one is not there; of two steps one has nobody."""
    clients = next(one for one in REGULATIONS if one.name == "clients")
    answers = {"этап Клиенты / Запущен": "Клиенты / Проект запущен", "сотрудник Ольга Крылова": None}
    draft = drafted(clients, accounts["smm"], answers)
    without = {one.name: one.without for one in draft.trimmed}
    written = tomllib.loads(draft.text)["schedules"]
    assert "этап «В работе»" in without["regular_round.meeting"]
    assert written["regular_round"]["meeting"]["stages"] == ["Клиенты / Проект запущен"]
    assert "роль «head»" in without["unanswered_client_is_escalated.messages"][0]
    assert [one["name"] for one in written["unanswered_client_is_escalated"]["messages"]["steps"]] == ["конец дня"]
    assert "Работает без этого" in draft.text


def test_a_field_of_ones_own_is_looked_for_though_amocrm_has_one_of_that_name(accounts: dict[str, Account]) -> None:
    """A new deal gets fields of one's own only; what is built in is asked for by the same name elsewhere."""
    draft = drafted(REGULATIONS[0], accounts["new"])
    assert tomllib.loads(draft.text)["provision"]["fields"]["Контактное лицо"] == "text"
    assert "поле Контактное лицо" in {need.key for need in draft.lacking}


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("regulation", WITH_RULES, ids=lambda one: one.name)
def test_whatever_people_answer_the_config_fits(
    accounts: dict[str, Account], regulation: Regulation, seed: int
) -> None:
    """Two stages that are one, a list for a field of another meaning, nobody for a role …"""
    chance = random.Random(f"{regulation.name} {seed}")
    account = accounts[chance.choice(sorted(accounts))]
    drafting = Drafting(Choice(regulation, "https://x.amocrm.ru"), PLACE, DAY)
    matching = Matching(drafting.asked, account, {})
    while found := matching.open_round():
        for one in found:
            matching.answer(one, chance.choice([None, *(candidate.value for candidate in one.candidates)]))
    draft = drafting.draft(matching, account)
    assert [one for one in fit(draft.config, account).problems if "скрипт" not in one] == []
    plan(drafting.wanted(matching), account, ())
    plan(Wanted.by(draft.config), account, ())


def test_a_condition_is_never_left_out(accounts: dict[str, Account]) -> None:
    """Without it a rule would do more than it may: the renewal of persons would be everybody's."""
    smm = next(one for one in REGULATIONS if one.name == "smm")
    draft = drafted(smm, accounts["smm"], {"поле Тип клиента": None})
    off = {one.name: one.why for one in draft.off}
    assert "поле «Тип клиента»" in off["task_answer_decides.renewal_person"]
    assert "task_answer_decides.renewal_company" in off


def test_answers_that_contradict_each_other_cost_only_their_rule(accounts: dict[str, Account]) -> None:
    """The field with the password is also to be told as the day of the payment."""
    smm = next(one for one in REGULATIONS if one.name == "smm")
    draft = drafted(smm, accounts["smm"], {"поле Дата оплаты": "Логин/пароль от аккаунта Instagram"})
    (gone,) = draft.off
    assert (gone.name, "secret_fields" in gone.why) == ("filled_field_starts_deeds.paid", True)
    assert "# [handlers.filled_field_starts_deeds.paid]" in draft.text


def test_a_role_that_nobody_has_takes_its_rules_along_as_comments(accounts: dict[str, Account]) -> None:
    smm = next(one for one in REGULATIONS if one.name == "smm")
    draft = drafted(smm, accounts["smm"], {"сотрудник Гульнара Сеитова": None})
    (gone,) = (one for one in draft.off if "accountant" in one.why)
    assert gone.name == "task_answer_decides.renewal_company"
    assert "# [handlers.task_answer_decides.renewal_company]" in draft.text
    assert "accountant" not in tomllib.loads(draft.text)["roles"]
    # As the comment above it says: somebody for the role, and the block without its marks.
    before, header, after = draft.text.partition("# [handlers.task_answer_decides.renewal_company]")
    assert "Появится — уберите" in before.rpartition("# Выключено: ")[2].replace("\n# ", " ")
    block = header + after.split("\n\n")[0]
    on = "\n".join(line.removeprefix("# ") for line in block.split("\n"))
    person = accounts["smm"].users[0].name
    text = draft.text.replace("[roles]\n", f'[roles]\naccountant = "{person}"\n', 1) + "\n" + on + "\n"
    config = load_text(PLACE, text, {})
    assert any(rule.name == gone.name and rule.enabled for rule in config.rules)
    assert [one for one in unknown_names(config, accounts["smm"]) if "папки со скриптами" not in one] == []


def test_only_chosen_parts_stand_in_the_file_with_the_sections_that_they_need(accounts: dict[str, Account]) -> None:
    draft = drafted(REGULATIONS[0], accounts["agency"], parts=("Воронка «Реализация»",))
    written = tomllib.loads(draft.text)
    assert {"services", "account", "bridge", "calendar", "roles", "handlers", "schedules"} == set(written)
    assert "Продажи / Новый клиент" not in draft.text


def test_of_what_is_lacking_a_plan_can_be_made(accounts: dict[str, Account]) -> None:
    remote = next(one for one in REGULATIONS if one.name == "remote")
    draft = drafted(remote, accounts["new"], {"воронка Продажи": None})
    provision = tomllib.loads(draft.text)["provision"]
    assert provision["pipelines"]["Продажи"] == ["Новый лид", "Выясняем запрос", "Ждём оплату", "Услугу дать нельзя"]
    assert provision["fields"]["Клиент оплатит"] == "date"
    assert provision["fields"]["Интерес в будущем"] == ["Да", "Нет", "Вернуться позже"]


def test_what_is_lacking_is_asked_of_the_pipeline_that_is_there(accounts: dict[str, Account]) -> None:
    """Also by rules that are off: once it is created they need only be switched on."""
    agency = REGULATIONS[0]
    drafting = Drafting(Choice(agency, "https://x.amocrm.ru"), PLACE, DAY)
    matching = Matching(drafting.asked, accounts["new"], {"воронка Продажи": "Воронка"})
    while found := matching.open_round():
        for one in found:
            matching.answer(one, one.found)
    written = drafting.draft(matching, accounts["new"])
    for wanted in (drafting.wanted(matching), Wanted.by(written.config)):
        assert "Продажи" not in wanted.stages
        assert "Согласование КП" in wanted.stages["Воронка"]
        shapes = {one.name: one.shape.choices for one in wanted.fields}
        assert set(shapes["PR-менеджер"]) == {one.name for one in accounts["new"].users if one.is_active}
    rule = tomllib.loads(written.text)["handlers"]["file_moves_deal"]["offer"]
    assert (rule["enabled"], rule["to_stage"]) == (False, "Воронка / Согласование КП")


def test_every_name_of_every_regulation_has_its_role_said() -> None:
    for regulation in WITH_RULES:
        assert set(regulation.roles) == set(regulation.tree["roles"]), regulation.name
