"""Names of the config that the account does not know, read from a local amoCRM as the start and ``check`` do it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.config_text import ENGLISH, GOOD, line_with, loaded, spoilt
from support.local_crm import TOKEN, served

from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.sandbox.account_start import load_world

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
NEW_CLIENT = "[handlers.stage_creates_tasks.new_client]"
OFFER = "[handlers.date_field_sets_task.offer]"
MEETING = "[handlers.stage_needs_fields.meeting]"
WIN_BACK = "[handlers.lost_deal_is_routed.win_back]"


@pytest.fixture(scope="module")
def account() -> Account:
    """The agency, as amoCRM tells of it."""
    with served(load_world()) as crm:
        return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter()))


def told(folder: Path, account: Account, text: str) -> list[str]:
    """What is wrong, all rules switched on."""
    found = unknown_names(loaded(folder, text.replace("enabled = false", "enabled = true")), account)
    assert not [problem for problem in found if ENGLISH.search(problem)]
    return found


def test_every_name_of_the_example_is_known(account: Account) -> None:
    assert unknown_names(load(EXAMPLE, {}), account) == []


def test_every_name_of_the_good_config_is_known(account: Account, tmp_path: Path) -> None:
    assert told(tmp_path, account, GOOD) == []


UNKNOWN = [
    ('"Мария Кузнецова"', '"Мария Кузнецва"', '[absences] "Светлана Белова"[1].deputy',
     "может быть, «Мария Кузнецова»?"),
    ('"Светлана Белова"', '"Светлана Билова"', '[absences] "Светлана Билова"', "может быть, «Светлана Белова»?"),
    ('["Продажи / Новый клиент"]', '["Продажи / Новый клент"]', f"{NEW_CLIENT} stages[1]",
     "этапа «Продажи / Новый клент» нет в аккаунте; может быть, «Продажи / Новый клиент»?"),
    ('["Продажи / Новый клиент"]', '["Продажа / Новый клиент"]', f"{NEW_CLIENT} stages[1]",
     "может быть, «Продажи / Новый клиент»?"),
    ('["Продажи / Новый клиент"]', '["Новый клент"]', f"{NEW_CLIENT} stages[1]", "может быть, «Новый клиент»?"),
    ('["Продажи / Новый клиент"]', '["Закрыто и не реализовано"]', f"{NEW_CLIENT} stages[1]",
     "для этапа «Закрыто и не реализовано» в аккаунте есть несколько: «Продажи / Закрыто и не реализовано», "),
    ('pipelines = ["Продажи"]', 'pipelines = ["Прадажи"]', f"{WIN_BACK} pipelines[1]",
     "воронки «Прадажи» нет в аккаунте; может быть, «Продажи»?"),
    ('"Дата первой встречи"', '"Дата встречи"', f"{MEETING} fields[1]",
     "поля «Дата встречи» нет в аккаунте; может быть, «Дата первой встречи»?"),
    ('"Дата первой встречи"', '"Бюжет"', f"{MEETING} fields[1]", "поля «Бюжет» нет в аккаунте; может быть, «Бюджет»?"),
    ('note = "', 'carry_fields = ["roystat"]\nnote = "', f"{WIN_BACK} carry_fields[1]", "может быть, «roistat»?"),
    ('note = "', 'link_field = "Бюджет"\nnote = "', f"{WIN_BACK} link_field",
     "«Бюджет» — встроенное поле amoCRM, здесь годится только своё поле сделки"),
    ('field = "PR-менеджер"', 'field = "Ответственный"', "[roles] pr.field",
     "«Ответственный» — встроенное поле amoCRM"),
    ('fields = ["Дата дедлайна"]', 'fields = ["Бриф"]', f"{OFFER} fields[1]",
     "поле «Бриф» — не дата (его тип textarea); поля с датой: Дата получения брифа, Дата первой встречи"),
    ('fields = ["Дата дедлайна"]', 'fields = ["Бюджет"]', f"{OFFER} fields[1]", "«Бюджет» — встроенное поле amoCRM"),
    ('fields = ["Дата дедлайна"]', 'fields = ["Дата дедлайн"]', f"{OFFER} fields[1]", "может быть, «Дата дедлайна»?"),
    ('{ "Дорого" =', '{ "Дорага" =', f"{WIN_BACK} tag_by_reason.Дорага",
     "причины отказа «Дорага» нет в аккаунте; может быть, «Дорого»?"),
    ('due = "1 working hour"', 'due = "1 d", type = "Сагласование"', f"{NEW_CLIENT} tasks[1].type",
     "типа задачи «Сагласование» нет в аккаунте; может быть, «Согласование»?"),
    ('head = "Елена Орлова"', 'head = "Елена Арлова"', "[roles] head",
     "пользователя «Елена Арлова» нет в аккаунте; может быть, «Елена Орлова»?"),
    ('otherwise = "Павел Смирнов"', 'otherwise = "Павел Смирнoff"', "[roles] pr.otherwise", "«Павел Смирнов»?"),
    ('field = "PR-менеджер"', 'field = "PR менеджеры"', "[roles] pr.field", "может быть, «PR-менеджер»?"),
    ('to = "head"', 'to = "Елена Арлова"', f"{NEW_CLIENT} tasks[2].to",
     "роли или пользователя «Елена Арлова» нет в аккаунте; может быть, «Елена Орлова»?"),
    ('data = "data"', 'tell = "Хед"', "[bridge] tell", "роли или пользователя «Хед» нет в аккаунте"),
    ("{Название}", "{Названье}", f"{NEW_CLIENT} tasks[2].text", "может быть, «Название»?"),
    ('due = "2 d"', 'due = "field: Дата дедлайн - 1 d"', f"{NEW_CLIENT} tasks[2].due", "может быть, «Дата дедлайна»?"),
    ('due = "2 d"', 'due = "field: Источник"', f"{NEW_CLIENT} tasks[2].due", "поле «Источник» — не дата"),
    ('field = "Бюджет", filled', 'field = "Тип оплат", filled', f"{NEW_CLIENT} tasks[2].when.field", "«Тип оплаты»?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), UNKNOWN, ids=[new for _, new, _, _ in UNKNOWN])
def test_unknown_name(old: str, new: str, key: str, words: str, account: Account, tmp_path: Path) -> None:
    text = spoilt(old, new)
    [problem] = told(tmp_path, account, text)
    line = line_with(new.removesuffix('\nnote = "'), text)
    assert problem.startswith(f"config.toml, строка {line} {key}: ")
    assert words in problem


def test_all_of_them_are_told(account: Account, tmp_path: Path) -> None:
    text = spoilt('pipelines = ["Продажи"]', 'pipelines = ["Прадажи"]')
    text = spoilt('text = "Составить КП"', 'text = "Составить {КП}"', text)
    text = spoilt('head = "Елена Орлова"', 'head = "Никто"', text)
    found = told(tmp_path, account, text)
    assert [problem.split(":")[0].split(" [")[1] for problem in found] == [
        "roles] head",
        "handlers.date_field_sets_task.offer] text",
        "handlers.lost_deal_is_routed.win_back] pipelines[1]",
    ]


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('"Елена Орлова"', '"Ольга Волкова"', "[roles] head"),
        ('otherwise = "Павел Смирнов"', 'otherwise = "Ольга Волкова"', "[roles] pr.otherwise"),
        ('to = "head"', 'to = "volkova@agency.example"', f"{NEW_CLIENT} tasks[2].to"),
    ],
)
def test_somebody_who_was_switched_off(old: str, new: str, key: str, account: Account, tmp_path: Path) -> None:
    users = tuple(replace(user, is_active=user.name != "Ольга Волкова") for user in account.users)
    [problem] = told(tmp_path, replace(account, users=users), spoilt(old, new))
    assert f"{key}: пользователь «Ольга Волкова» отключён в amoCRM" in problem


def test_a_name_that_two_have(account: Account, tmp_path: Path) -> None:
    twin = replace(next(user for user in account.users if user.name == "Елена Орлова"), id=1, email="o2@agency.example")
    field = replace(next(one for one in account.all_fields if one.name == "Дата первой встречи"), id=2)
    doubled = replace(account, users=(*account.users, twin), all_fields=(*account.all_fields, field))
    found = told(tmp_path, doubled, spoilt('to = "head"', 'to = "Елена Орлова"'))
    assert [problem.split(": ", 1)[1].split(" «")[0] for problem in found] == [
        "для пользователя",
        "для пользователя",
        "для поля сделки",
    ]
    assert all("напишите, какой из них" in problem for problem in found)
