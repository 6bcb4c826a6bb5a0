"""A typo in every part of the config: what the person who made it reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.config_text import GOOD, line_with, loaded, problems_of, spoilt

NEW_CLIENT = "handlers.stage_creates_tasks.new_client"
OFFER = "handlers.date_field_sets_task.offer"
MEETING = "handlers.stage_needs_fields.meeting"
WIN_BACK = "handlers.lost_deal_is_routed.win_back"
A_LIST = 'нужен список в квадратных скобках: ["…", "…"], а стоит «{}»'

# What stands in the good config, what is written instead, the block and the key that are named, the words.
MISTAKES: list[tuple[str, str, str, str]] = [
    # --- sections and keys ---
    ("[bridge]", "[brigde]", "[brigde]", "такого раздела нет; может быть, «bridge»?"),
    ("requests_per_second = 5", "reqests_per_second = 5", "[account] reqests_per_second", "«requests_per_second»?"),
    ("dry_run = false", "dryrun = false", "[bridge] dryrun", "такого ключа нет; может быть, «dry_run»?"),
    ("breaks =", "brakes =", "[calendar] brakes", "такого ключа нет; может быть, «breaks»?"),
    ("{ field = \"PR", "{ fild = \"PR", "[roles] pr.fild", "такого ключа нет; может быть, «field»?"),
    ("[handlers.stage_creates_tasks.", "[handlers.stage_create_tasks.", "[handlers.stage_create_tasks]",
     "такого обработчика нет; может быть, «stage_creates_tasks»?"),
    ("due_shift =", "dueshift =", f"[{OFFER}] dueshift", "такого ключа нет; может быть, «due_shift»?"),
    ("enabled = false", "enabled = false\ndryrun = true", f"[{OFFER}] dryrun", "может быть, «dry_run»?"),
    ("enabled = false", "enabled = false\nзадача = 1", "", "русский ключ пишется в кавычках"),
    ("enabled = false", "enabled = false\nqqq = 1", f"[{OFFER}] qqq", "такого ключа нет; есть: when, fields, stages"),
    ("[handlers.stage_needs_fields.meeting]", "[handlers.stage_needs_fields]", "[handlers.stage_needs_fields]",
     "у правила должно быть своё имя, например [handlers.stage_needs_fields.my_rule]"),
    ("[account]", "handlers = 5\n[account]", "", "такой ключ или раздел уже есть, в строке 1"),
    ("[roles]", "[[roles]]", "[roles]", "раздел пишется один раз, в одинарных скобках: [roles]"),
    # --- [account], [bridge] ---
    ('url = "https://agency', 'url = "agency', "[account] url", "нужен https://имя.amocrm.ru"),
    ("agency.amocrm.ru", "agency.amocrm.ru/leads", "[account] url", "без пути после него"),
    ("requests_per_second = 5", "requests_per_second = 8", "[account] requests_per_second",
     "должно быть не больше 7, а стоит 8"),
    ("requests_per_second = 5", "requests_per_second = 0", "[account] requests_per_second", "должно быть больше 0"),
    ("requests_per_second = 5", 'requests_per_second = "5"', "[account] requests_per_second",
     "нужно число без кавычек, а стоит «5»"),
    ('"https://bridge.agency.ru"', '"bridge.agency.ru"', "[bridge] public_url", "который начинается с https://"),
    ('data = "data"', "data = 5", "[bridge] data", "нужен текст в кавычках, а стоит 5"),
    ('data = "data"', 'database = "mysql://x"', "[bridge] database", "нужен адрес вида postgresql://"),
    ("dry_run = false", 'dry_run = "нет"', "[bridge] dry_run", "нужно true или false без кавычек, а стоит «нет»"),
    ("dry_run = false", 'dry_run = "false"', "[bridge] dry_run", "нужно true или false без кавычек, а стоит «false»"),
    ("dry_run = false", "dry_run = 1", "[bridge] dry_run", "нужно true или false без кавычек, а стоит 1"),
    ('"без робота"', '" "', "[bridge] opt_out_tag", "не может быть пустым"),
    ('data = "data"', 'tell = "haed"', "[bridge] tell", "роли «haed» нет в [roles]; может быть, «head»?"),
    # --- [calendar] ---
    ('country = "RU"', 'country = "RUS"', "[calendar] country", "нужен код из двух букв"),
    ('"10:00-18:00"', '"10-18"', "[calendar] hours.fri", '«10-18» не похоже на часы: пишите "10:00-19:00"'),
    ('"10:00-18:00"', '"18:00-10:00"', "[calendar] hours.fri", "конец должен быть позже начала"),
    ("fri =", "friday =", "[calendar] hours.friday", "«friday» — не день недели: годятся mon, tue"),
    ('{ mon = "10:00-19:00", fri = "10:00-18:00" }', "{}", "[calendar]", "нужен хотя бы один рабочий день недели"),
    ('["13:00-14:00"]', '"13:00-14:00"', "[calendar] breaks", A_LIST.format("13:00-14:00")),
    ('["13:00-14:00"]', '["10:00-19:00"]', "[calendar]", "перерывы (breaks) не оставляют рабочего времени"),
    ('"2026-12-29"', '"29.12.2026"', "[calendar] days_off[1]", "«29.12.2026» — не дата: пишите год-месяц-день"),
    ('"2026-12-05"', '"2026-12-32"', "[calendar] working_days[1]", "«2026-12-32» — не дата"),
    ('"2026-12-05"', '"2026-12-29"', "[calendar]", "2026-12-29: и выходной (days_off), и рабочий день"),
    ('{ "2026-12-30" =', '{ "30 декабря" =', '[calendar] special_hours."30 декабря"', "«30 декабря» — не дата"),
    ('"Europe/Moscow"', '"Europe/Moskow"', "[calendar] timezone", "может быть, «Europe/Moscow»?"),
    # --- [roles] ---
    ('head = "Елена Орлова"', 'manager = "Елена Орлова"', "[roles] manager", "эта роль есть всегда"),
    ('head = "Елена Орлова"', 'head = ""', "[roles] head", 'нужно имя пользователя или { field = "поле сделки"'),
    ('head = "Елена Орлова"', "head = 5", "[roles] head", "нужно имя пользователя"),
    ('otherwise = "Павел Смирнов"', "otherwise = 5", "[roles] pr.otherwise", "нужен текст в кавычках, а стоит 5"),
    ('{ field = "PR-менеджер", otherwise', "{ otherwise", "[roles] pr", "нужно field (в поле — имя"),
    # --- [absences] ---
    ("[absences]", '[absences]\n"Иван Петров" = "отпуск"', '[absences] "Иван Петров"', "нужен список: [{ from ="),
    (', deputy = "Мария Кузнецова"', "", '[absences] "Светлана Белова"[1].deputy', "обязательный ключ не задан"),
    ('"2026-12-04"', '"2026-11-04"', '[absences] "Светлана Белова"[1]', "to = «2026-11-04» раньше, чем from"),
    ('"2026-12-21"', '"21 декабря"', '[absences] "Светлана Белова"[2].from', "«21 декабря» — не дата"),
    ('"2026-12-21"', '"2026-12-04"', '[absences] "Светлана Белова"',
     "отсутствия пересекаются: с 2026-12-01 по 2026-12-04 и с 2026-12-04 по 2026-12-25"),
    # --- a rule's own keys ---
    ("enabled = false", 'enabled = "нет"', f"[{OFFER}] enabled", "нужно true или false без кавычек, а стоит «нет»"),
    ("enabled = false", "# включить позже", f"[{OFFER}] enabled", "обязательный ключ не задан, допишите его"),
    ('max_lateness = "24 h"', "max_lateness = 24", f"[{NEW_CLIENT}] max_lateness", "промежуток в кавычках"),
    ('max_lateness = "24 h"', 'max_lateness = "сутки"', f"[{NEW_CLIENT}] max_lateness", "«сутки» непонятен"),
    ('max_lateness = "24 h"', "most_per_hour = 0", f"[{NEW_CLIENT}] most_per_hour", "должно быть не меньше 1"),
    ('max_lateness = "24 h"', "most_per_hour = 1.5", f"[{NEW_CLIENT}] most_per_hour", "нужно целое число"),
    ('["Продажи / Новый клиент"]', '"Продажи / Новый клиент"', f"[{NEW_CLIENT}] stages",
     A_LIST.format("Продажи / Новый клиент")),
    ('["Продажи / Новый клиент"]', "[]", f"[{NEW_CLIENT}] stages", "список не может быть пустым"),
    ('["Продажи / Новый клиент"]', '[" "]', f"[{NEW_CLIENT}] stages[1]", "текст не может быть пустым"),
    ('["Продажи / Новый клиент"]', "[5]", f"[{NEW_CLIENT}] stages[1]", "нужен текст в кавычках, а стоит 5"),
    ('fields = ["Дата дедлайна"]', "", f"[{OFFER}] fields", "обязательный ключ не задан"),
    ('to = "pr"', 'to = "rp"', f"[{OFFER}] to", "роли «rp» нет в [roles]"),
    ('due_shift = "- 1 d"', 'due_shift = "- 1 x"', f"[{OFFER}] due_shift", "такой единицы нет"),
    ('due_shift = "- 1 d"', 'when_emptied = "clos"', f"[{OFFER}] when_emptied",
     'годится только "close" или "keep", а стоит «clos»; может быть, «close»?'),
    ('entering = ["Продажи / Встреча назначена"]', "", f"[{MEETING}]", "нужны этапы: entering (на входе)"),
    ('"Дорого" = "дорого"', '"Дорого" = 5', f"[{WIN_BACK}] tag_by_reason.Дорого", "нужен текст в кавычках, а стоит 5"),
    ('{ "Дорого" = "дорого" }', '["Дорого"]', f"[{WIN_BACK}] tag_by_reason", "нужна таблица { ключ = значение }"),
    ("{new.url}", "{new.link}", f"[{WIN_BACK}] note", "{new.link} здесь не подставить; есть {new.id} и {new.url}"),
    # --- inside a list of tasks ---
    ("{ text = \"Согласовать", "{ txt = \"Согласовать", f"[{NEW_CLIENT}] tasks[2].txt", "может быть, «text»?"),
    ('to = "head"', 'to = "haed"', f"[{NEW_CLIENT}] tasks[2].to", "роли «haed» нет в [roles]; может быть, «head»?"),
    ('due = "1 working hour"', 'due = "1 wroking hour"', f"[{NEW_CLIENT}] tasks[1].due",
     "«wroking» — такого слова в сроках нет. Ближайшая верная запись: «1 working hour»"),
    ('due = "1 working hour"', "due = 60", f"[{NEW_CLIENT}] tasks[1].due", "срок пишется словами в кавычках"),
    ('due = "1 working hour"', 'due = "1 d", on = "dael"', f"[{NEW_CLIENT}] tasks[1].on",
     'годится только "deal" или "contact", а стоит «dael»; может быть, «deal»?'),
    ("{Название}", "{Название", f"[{NEW_CLIENT}] tasks[2].text", "место для подстановки пишется {Название поля}"),
    ("{Название}", "{}", f"[{NEW_CLIENT}] tasks[2].text", "место для подстановки пишется {Название поля}"),
    ("{Название}", "{new.url}", f"[{NEW_CLIENT}] tasks[2].text", "{new.url} здесь не подставить"),
    ("filled = true", "filed = true", f"[{NEW_CLIENT}] tasks[2].when.filed", "такого ключа нет; может быть, «filled»?"),
    ("filled = true", 'filled = "да"', f"[{NEW_CLIENT}] tasks[2].when.filled", "нужно true или false без кавычек"),
    ("filled = true", "is = 5", f"[{NEW_CLIENT}] tasks[2].when.is", "нужен текст в кавычках, а стоит 5"),
    ("filled = true", 'one_of = "5"', f"[{NEW_CLIENT}] tasks[2].when.one_of", A_LIST.format("5")),
    (", filled = true", "", f"[{NEW_CLIENT}] tasks[2].when", "нужно одно из: field вместе с is,"),
    ('{ field = "Бюджет", filled = true }', '"бюджет"', f"[{NEW_CLIENT}] tasks[2].when", "нужна таблица"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "key", "words"), MISTAKES, ids=[f"{new[:40]}" for _, new, _, _ in MISTAKES])
def test_mistake(old: str, new: str, key: str, words: str, tmp_path: Path) -> None:
    found = problems_of(tmp_path, spoilt(old, new))
    place = re.compile(rf"config\.toml, строка \d+{re.escape(' ' + key) if key else ''}: .*{re.escape(words)}")
    assert [problem for problem in found if place.match(problem)], found


@pytest.mark.parametrize(
    ("old", "new", "at"),
    [
        ("requests_per_second = 5", "reqests_per_second = 5", "reqests"),
        ('"10:00-18:00"', '"10-18"', "hours"),
        ('otherwise = "Павел Смирнов"', "otherwise = 5", "pr ="),
        ('due = "1 working hour"', 'due = "1 wroking hour"', "wroking"),
        ("filled = true", 'filled = "да"', "Согласовать"),
        ("[handlers.stage_creates_tasks.", "[handlers.stage_create_tasks.", "[handlers.stage_create_tasks"),
        ("enabled = false", "# включить позже", "[handlers.date_field"),
        ('data = "data"', 'data = """\n[data]\n"""\ndry_rum = true', "dry_rum"),
        ('"2026-12-05"', '\n  "2026-12-06",\n  "6 декабря",', "6 декабря"),
        ("tasks = [\n", "tasks = [\n  { text = '[x]', to = 'head', due = '[y]' },\n", "[y]"),
    ],
)
def test_mistake_is_found_by_its_line(old: str, new: str, at: str, tmp_path: Path) -> None:
    text = spoilt(old, new)
    found = problems_of(tmp_path, text)
    assert [problem for problem in found if problem.startswith(f"config.toml, строка {line_with(at, text)} ")] == found


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = GOOD
    for old, new in [
        ("[bridge]", "[brigde]"),
        ('"10:00-18:00"', '"10-18"'),
        ('head = "Елена Орлова"', "head = 5"),
        ("[handlers.stage_needs_fields.meeting]", "[handlers.stage_need_fields.meeting]"),
        ('due = "1 working hour"', 'due = "скоро"'),
        ("{Название}", "{}"),
        ("enabled = false", "enable = false"),
    ]:
        text = spoilt(old, new, text)
    found = problems_of(tmp_path, text)
    assert len(found) == 8, "one line each, and the missing «enabled» beside the unknown «enable»"
    assert not [problem for problem in found if "роли" in problem], "a role that is spoilt is still a role"


def test_a_good_config_is_read(tmp_path: Path) -> None:
    config = loaded(tmp_path)
    assert [rule.name for rule in config.rules if not rule.enabled] == ["date_field_sets_task.offer"]
    assert config.data_folder == tmp_path / "data"


@pytest.mark.parametrize("person", ["Елена Орлова", "елена орлова", "orlova@agency.example", "Head", "manager"])
def test_a_person_may_be_named_in_any_of_these_ways(person: str, tmp_path: Path) -> None:
    assert loaded(tmp_path, spoilt('to = "pr"', f'to = "{person}"')).rules


@pytest.mark.parametrize("url", ["https://agency.amocrm.ru/", " https://agency.amocrm.ru", "http://127.0.0.1:8090"])
def test_an_address_may_be_written_in_any_of_these_ways(url: str, tmp_path: Path) -> None:
    config = loaded(tmp_path, spoilt("https://agency.amocrm.ru", url))
    assert config.account.url == url.strip().rstrip("/")


def test_the_environment_wins_over_the_file_and_is_named_when_it_is_wrong(tmp_path: Path) -> None:
    config = loaded(tmp_path, GOOD, AMO_BRIDGE_ACCOUNT_URL="http://127.0.0.1:1", AMO_BRIDGE_DATA="/elsewhere")
    assert (config.account.url, config.data_folder) == ("http://127.0.0.1:1", Path("/elsewhere"))
    found = problems_of(tmp_path, GOOD, AMO_BRIDGE_ACCOUNT_URL="agency")
    [told] = found
    assert told.startswith("переменная окружения AMO_BRIDGE_ACCOUNT_URL: «agency» — не адрес аккаунта")


SERVICES = """
[services]
field = "Услуги"
[services.platforms.Instagram]
responsible = "{responsible}"
[handlers.service_lines_set_tasks.timing]
enabled = true
stages = ["Реализация / Тайминг"]
"""


def test_a_section_that_rules_share_is_checked_once(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, GOOD + SERVICES.format(responsible="haed"))
    assert problem.endswith(
        "[services] platforms.Instagram.responsible: роли «haed» нет в [roles]; может быть, «head»?"
    )


def test_a_section_that_a_rule_needs_and_nobody_wrote_is_asked_for(tmp_path: Path) -> None:
    rule = SERVICES[SERVICES.index("[handlers") :]
    (problem,) = problems_of(tmp_path, GOOD + rule)
    assert "[handlers.service_lines_set_tasks.timing]: правилу нужен раздел [services], а его нет" in problem


def test_what_stands_in_a_section_can_not_be_said_again_in_a_rule(tmp_path: Path) -> None:
    text = GOOD + SERVICES.format(responsible="head") + 'services = { field = "Услуги" }\n'
    (problem,) = problems_of(tmp_path, text)
    assert "это задаётся один раз, в разделе [services]" in problem


def test_a_platform_that_the_text_could_not_give_back_is_refused(tmp_path: Path) -> None:
    text = GOOD + SERVICES.format(responsible="head").replace("platforms.Instagram", 'platforms."VK: видео"')
    (problem,) = problems_of(tmp_path, text)
    assert "без двоеточия" in problem
