"""[mail], [telegram], [people], [series]: what is right, and what is said about a slip."""

from __future__ import annotations

from datetime import time
from pathlib import Path

import pytest
from support.config_text import GOOD, loaded, problems_of
from support.local_crm import TOKEN, served

from amo_bridge.channels.vendors import connected, vendor_of
from amo_bridge.cli.check import warnings
from amo_bridge.config.account_fit import unknown_names
from amo_bridge.config.channels import Quiet
from amo_bridge.crm.account import Account
from amo_bridge.crm.client import CrmClient
from amo_bridge.crm.rate_limiter import LocalRateLimiter
from amo_bridge.crm.tokens import LongLivedToken
from amo_bridge.errors import ConfigError
from amo_bridge.sandbox.account_start import load_world

CHANNELS = """
[mail]
host = "smtp.agency.ru"
tls = "tls"
port = 465
from = "Агентство «Ромашка» <info@agency.ru>"
templates = "letters"

[telegram]
proxy = "socks5h://proxy:1080"

[people."Иван Петров"]
telegram = 123
quiet = "21:00-09:00"
order = ["mail", "telegram"]

[series."прогрев"]
letters = [{ after = "10 minutes", template = "прогрев/1" }]

[handlers.series_sends_letters.all]
enabled = true
"""
LADDER = """
[schedules.stage_ladder.warming]
enabled = true
stages = ["Продажи / Новый клиент"]
steps = [{ after = "7 d", start_series = "прогрев", letter = { template = "прогрев/1" } }]
"""
TEXT = GOOD + CHANNELS + LADDER


@pytest.fixture(scope="module")
def account() -> Account:
    with served(load_world()) as crm:
        return Account.read(CrmClient(crm.url, LongLivedToken(TOKEN), LocalRateLimiter()))


def letters(folder: Path, text: str = "Тема: a\nb") -> None:
    (folder / "letters" / "прогрев").mkdir(parents=True)
    (folder / "letters" / "прогрев" / "1.txt").write_text(text, "utf-8")


def test_all_that_is_right_is_read(tmp_path: Path) -> None:
    channels = loaded(tmp_path, TEXT).channels
    assert channels.mail is not None
    assert channels.mail.sender_address == "info@agency.ru"
    assert channels.telegram is not None
    (ivan,) = channels.people.values()
    assert (ivan.telegram, ivan.quiet, ivan.order) == (123, Quiet(time(21), time(9)), ("mail", "telegram"))
    series = channels.series.of("Прогрев")
    assert series is not None
    assert series.letters[0].template == "прогрев/1"


VK = '\n[vkads]\nclient_id = "abc"\n'


def test_vk_ads_may_be_there_for_lead_forms_alone(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"{GOOD}{VK}[intake.vkads]\nforms = [19]\n")
    assert config.channels.vkads is not None
    assert (config.intake and config.intake.vkads and config.intake.vkads.forms) == (19,)
    assert "audiences" not in connected(config)
    assert vendor_of(config).get("audiences") is None


def test_vk_ads_for_nothing_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"{GOOD}{VK}")
    (words,) = refused.value.problems
    assert "[audiences]" in words
    assert "[intake.vkads]" in words


def test_without_sections_nothing_is_connected(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD)
    assert (config.channels.mail, config.channels.telegram, config.letters_folder) == (None, None, None)


GO = '[unisender_go]\napi = "https://go2.unisender.ru"\n\n[telegram]'


def test_a_service_takes_letters_instead_of_a_server(tmp_path: Path) -> None:
    channels = loaded(tmp_path, TEXT.replace('host = "smtp.agency.ru"\n', "").replace("[telegram]", GO)).channels
    assert channels.unisender_go is not None
    assert (channels.mail and channels.mail.host, channels.unisender_go.own_unsubscribing) == ("", False)


def test_a_service_needs_to_know_from_whom(tmp_path: Path) -> None:
    told = list(warnings(loaded(tmp_path, GOOD + "\n[unisender_go]\n")))
    assert any("[unisender_go] без [mail] писем не отправит" in words for words in told)
    assert any("без [intake.unisender_go] мост не узнает, кто отписался" in words for words in told)


@pytest.mark.parametrize(
    ("right", "wrong", "place", "words"),
    [
        ('host = "smtp.agency.ru"\n', "", "[mail] host", "обязательный ключ не задан"),
        ("port = 465", "port = 0", "[mail] port", "должно быть не меньше 1, а стоит 0"),
        ('tls = "tls"', 'tls = "ssl"', "[mail] tls", 'годится только "starttls" или "tls" или "none"'),
        ("<info@agency.ru>", "<info>", "[mail] from", "не адрес почты"),
        ('templates = "letters"', 'templats = "letters"', "[mail] templats", "может быть, «templates»?"),
        ('templates = "letters"', 'password = "тайна"', "[mail] password", "такого ключа нет"),
        ('templates = "letters"', 'reply_to = "sales"', "[mail] reply_to", "не адрес почты"),
        ('"socks5h://proxy:1080"', '"proxy"', "[telegram] proxy", "не прокси"),
        ('proxy = "socks5h://proxy:1080"', 'api = "telegram"', "[telegram] api", "не адрес"),
        ('proxy = "socks5h://proxy:1080"', 'token = "1:a"', "[telegram] token", "такого ключа нет"),
        ("telegram = 123", 'telegram = "123"', '[people."Иван Петров"] telegram', "нужно целое число без кавычек"),
        ('"21:00-09:00"', '"ночью"', '[people."Иван Петров"] quiet', "нужно «21:00-09:00»"),
        ('"21:00-09:00"', '"25:00-09:00"', '[people."Иван Петров"] quiet', "нужно «21:00-09:00»"),
        (
            '["mail", "telegram"]',
            '["viber"]',
            '[people."Иван Петров"] order',
            'годится только "telegram" или "max" или "mail"',
        ),
        ('"10 minutes"', '"field: Дата дедлайна"', "[series.прогрев] letters[1].after", "от начала серии"),
        ("letters = [{", "letters = [] # [{", "[series.прогрев] letters", "список не может быть пустым"),
        ('"https://bridge.agency.ru"', '"https://' + "b" * 40 + '.ru"', "[bridge] public_url", "длиннее 38 знаков"),
    ],
)
def test_a_slip_is_told_with_its_place(tmp_path: Path, right: str, wrong: str, place: str, words: str) -> None:
    assert TEXT.count(right) == 1
    (problem,) = problems_of(tmp_path, TEXT.replace(right, wrong))
    assert place in problem
    assert words in problem


def test_names_of_people_templates_and_series_are_checked(account: Account, tmp_path: Path) -> None:
    letters(tmp_path)
    assert unknown_names(loaded(tmp_path, TEXT), account) == []


@pytest.mark.parametrize(
    ("right", "wrong", "words"),
    [
        ('[people."Иван Петров"]', '[people."Иван Питров"]', "может быть, «Иван Петров»?"),
        ('template = "прогрев/1" }]', 'template = "прогрев/2" }]', "шаблона письма «прогрев/2» нет"),
        ('letter = { template = "прогрев/1" }', 'letter = { template = "бриф" }', "шаблона письма «бриф» нет"),
        (
            'start_series = "прогрев"',
            'start_series = "прогре"',
            "серии писем «прогре» нет",
        ),
        ('templates = "letters"', 'templates = "letters"\nconsent = "Согласие"', "«Согласие» нет в аккаунте"),
    ],
)
def test_an_unknown_name_is_told(account: Account, tmp_path: Path, right: str, wrong: str, words: str) -> None:
    letters(tmp_path)
    assert TEXT.count(right) == 1
    problems = unknown_names(loaded(tmp_path, TEXT.replace(right, wrong)), account)
    assert problems
    assert words in problems[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Тема: a\n{{ клеент.имя }}", "«клеент» ничего не значит"),
        ('Тема: a\n{{ поле["Дата дедлаина"] }}', "«Дата дедлаина» нет в аккаунте; может быть, «Дата дедлайна»?"),
        ("Тема: a\nВпишите сюда реквизиты", "не дописан: "),
        ("без темы", "первая строка должна быть «Тема: …»"),
    ],
)
def test_a_slip_in_a_template_is_told_at_the_start(account: Account, tmp_path: Path, text: str, words: str) -> None:
    letters(tmp_path, text)
    assert words in unknown_names(loaded(tmp_path, TEXT), account)[0]


ALONG = 'letter = { template = "прогрев/1", attach = ["бриф.docx"] }'


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "файла для писем «бриф.docx» нет"),
        (7 << 20, ""),
        ((7 << 20) + 1, "больше 7 МБ (attachments_mb в [mail])"),
    ],
)
def test_a_file_for_letters_is_looked_at_before_one_goes(
    account: Account, tmp_path: Path, size: int | None, words: str
) -> None:
    letters(tmp_path)
    if size is not None:
        (tmp_path / "letters" / "бриф.docx").write_bytes(bytes(size))
    told = unknown_names(loaded(tmp_path, TEXT.replace('letter = { template = "прогрев/1" }', ALONG)), account)
    assert (words in told[0]) if words else told == []


@pytest.mark.parametrize("attach", ["{ }", '{ file = "a", deal_file = "b" }'])
def test_an_attachment_is_one_thing(tmp_path: Path, attach: str) -> None:
    along = f'letter = {{ template = "прогрев/1", attach = [{attach}] }}'
    (problem,) = problems_of(tmp_path, TEXT.replace('letter = { template = "прогрев/1" }', along))
    assert "нужно одно: file" in problem


@pytest.mark.parametrize(
    ("quiet", "moment", "holds"),
    [
        ((21, 9), 21, True),
        ((21, 9), 3, True),
        ((21, 9), 9, False),
        ((21, 9), 12, False),
        ((0, 8), 7, True),
        ((0, 8), 8, False),
        ((13, 14), 13, True),
    ],
)
def test_quiet_hours_may_go_over_midnight(quiet: tuple[int, int], moment: int, holds: bool) -> None:
    assert Quiet(time(quiet[0]), time(quiet[1])).holds_at(time(moment)) is holds


APPROVALS = """
[approvals]
tasks = ["Согласовать КП"]
"""


@pytest.mark.parametrize("staff", ["", "\n[intake.max_staff]\n"])
def test_buttons_that_nobody_could_press_are_told_of(tmp_path: Path, staff: str) -> None:
    letters(tmp_path)
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, f"{TEXT}{APPROVALS}{staff}")
    assert any("нужны [telegram] и [intake.telegram_staff]" in problem for problem in told.value.problems)


def test_approvals_by_a_bot_that_hands_over_presses(tmp_path: Path) -> None:
    letters(tmp_path)
    config = loaded(tmp_path, f"{TEXT}{APPROVALS}\n[intake.telegram_staff]\n")
    assert config.channels.approvals is not None
    assert (config.channels.approvals.tasks, config.channels.approvals.yes) == (("Согласовать КП",), "Согласовано")
