"""A config beside an account in which things were renamed, deleted or switched off since the names were resolved."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from support.config_text import GOOD, loaded
from support.pages import agency

from amo_bridge.config.account_fit import Fit, KnownIds, fit, unknown_names, unwritable
from amo_bridge.config.files import with_new_names
from amo_bridge.config.loader import load
from amo_bridge.crm.account import Account, Option

EXAMPLE = Path(__file__).parents[2] / "config.example.toml"
TEXT = (
    GOOD.replace("dry_run = false", 'dry_run = false\nsecret_fields = ["Тип клиента"]')
    .replace('text = "Связаться", to = "manager", due = "1 working hour"', 'text = "Связаться: {Источник}",'
             ' to = "Дмитрий Титов", due = "field: Дата дедлайна - 1 d", type = "Согласование",'
             ' when = { field = "Тип оплаты", is = "Предоплата" }')
    + """
[handlers.filled_field_starts_deeds.paid]
enabled = true
fields = ["Тип оплаты"]  # примечание остаётся
do = { set_fields = { 'Тип оплаты' = "Постоплата" }, task = { text = "Проверить", to = "head", due = "1 d" } }
"""
)  # fmt: skip
NEW_CLIENT = "stage_creates_tasks.new_client"
MEETING = "stage_needs_fields.meeting"
WIN_BACK = "lost_deal_is_routed.win_back"
PAID = "filled_field_starts_deeds.paid"

Change = Callable[[Account], Account]


def without(name: str, kind: str) -> Change:
    return lambda known: replace(known, **{kind: tuple(one for one in getattr(known, kind) if one.name != name)})


def renamed(name: str, new: str, kind: str) -> Change:
    return lambda known: replace(
        known, **{kind: tuple(replace(one, name=new) if one.name == name else one for one in getattr(known, kind))}
    )


def options(change: Callable[[tuple[Option, ...]], tuple[Option, ...]]) -> Change:
    return lambda known: replace(
        known,
        all_fields=tuple(
            replace(one, enums=change(one.enums)) if one.name == "Тип оплаты" else one for one in known.all_fields
        ),
    )


def pipeline_renamed(known: Account) -> Account:
    known = renamed("Продажи", "Сделки", "pipelines")(known)
    return replace(
        known,
        stages=tuple(replace(one, pipeline="Сделки") if one.pipeline == "Продажи" else one for one in known.stages),
    )


def pipeline_deleted(known: Account) -> Account:
    known = without("Продажи", "pipelines")(known)
    return replace(known, stages=tuple(one for one in known.stages if one.pipeline != "Продажи"))


def known_before(text: str, folder: Path) -> KnownIds:
    return {(one.kind, one.name): one.id for one in fit(loaded(folder, text), agency()).found}


def fitted(folder: Path, change: Change, text: str = TEXT) -> Fit:
    """The config as it works after the change, its names having been resolved before."""
    known = known_before(text, folder)
    return fit(loaded(folder, text), change(agency()), known)


def test_everything_of_the_text_is_known(tmp_path: Path) -> None:
    assert unknown_names(loaded(tmp_path, TEXT), agency()) == []


RENAMED = [
    (renamed("Новый клиент", "Первый контакт", "stages"), {"Продажи / Новый клиент": "Продажи / Первый контакт"}),
    (pipeline_renamed, {"Продажи / Новый клиент": "Сделки / Новый клиент", "Продажи": "Сделки",
                        "Продажи / Встреча назначена": "Сделки / Встреча назначена"}),
    (renamed("Дата первой встречи", "Встреча", "all_fields"), {"Дата первой встречи": "Встреча"}),
    (renamed("Дата дедлайна", "Дедлайн + запас", "all_fields"), {"Дата дедлайна": "Дедлайн + запас"}),
    (renamed("Источник", "Откуда", "all_fields"), {"Источник": "Откуда"}),
    (renamed("Тип оплаты", "Оплата", "all_fields"), {"Тип оплаты": "Оплата"}),
    (renamed("Тип клиента", "Клиент", "all_fields"), {"Тип клиента": "Клиент"}),
    (renamed("Дорого", "Слишком дорого", "loss_reasons"), {"Дорого": "Слишком дорого"}),
    (renamed("Согласование", "Согласовать", "task_types"), {"Согласование": "Согласовать"}),
    (renamed("Дмитрий Титов", "Дмитрий Титов-Белов", "users"), {"Дмитрий Титов": "Дмитрий Титов-Белов"}),
    (renamed("Елена Орлова", "Елена Ветрова", "users"), {"Елена Орлова": "Елена Ветрова"}),
    (options(lambda enums: tuple(replace(one, value="100 %") if one.value == "Предоплата" else one for one in enums)),
     {"Предоплата": "100 %"}),
    (options(lambda enums: tuple(replace(one, value="Потом") if one.value == "Постоплата" else one for one in enums)),
     {"Постоплата": "Потом"}),
]  # fmt: skip


@pytest.mark.parametrize(("change", "names"), RENAMED, ids=[next(iter(names.values())) for _, names in RENAMED])
def test_a_renamed_name_is_followed_and_can_be_taken_into_the_file(
    change: Change, names: dict[str, str], tmp_path: Path
) -> None:
    found = fitted(tmp_path, change)
    assert {issue.name: issue.new_name for issue in found.renamed} == names
    assert found.broken == {}
    assert found.problems == []
    # What the bridge works by names only what the account has.
    assert unknown_names(found.config, change(agency())) == []
    mended = with_new_names(TEXT, found.renamed)
    assert unknown_names(loaded(tmp_path, mended), change(agency())) == []
    assert "# примечание остаётся" in mended
    assert len(mended.splitlines()) == len(TEXT.splitlines())


DESCRIBED = """
[provision.pipelines]
"Продажи" = ["Новый клиент", "Новый клиент ждёт", "Встреча назначена"]
[provision.fields]
"Источник" = "text"
"Тип оплаты" = ["Предоплата", "Постоплата"]
"""


@pytest.mark.parametrize(("change", "names"), RENAMED, ids=[next(iter(names.values())) for _, names in RENAMED])
def test_what_provision_describes_is_renamed_too(change: Change, names: dict[str, str], tmp_path: Path) -> None:
    """Else provision would make the stage of the old name anew, and the renamed one would stand where nobody says."""
    known = known_before(TEXT, tmp_path)
    text = TEXT + DESCRIBED
    mended = with_new_names(text, fit(loaded(tmp_path, text), change(agency()), known).renamed)
    described = mended[mended.index("[provision.pipelines]") :]
    wanted = DESCRIBED.lstrip()
    for old, new in names.items():
        for before, after in zip(old.split(" / "), new.split(" / "), strict=True):
            wanted = wanted.replace(f'"{before}"', f'"{after}"')
    assert described == wanted


LOST = [
    (without("Новый клиент", "stages"), {NEW_CLIENT}, "этапа «Продажи / Новый клиент» нет в аккаунте"),
    (pipeline_deleted, {NEW_CLIENT, MEETING, WIN_BACK}, "нет в аккаунте"),
    (without("Дата первой встречи", "all_fields"), {MEETING}, "поля «Дата первой встречи» нет в аккаунте"),
    (without("Источник", "all_fields"), {NEW_CLIENT}, "поля «Источник» нет в аккаунте"),
    (without("Дата дедлайна", "all_fields"), {NEW_CLIENT}, "«Дата дедлайна» нет в аккаунте"),
    (without("Дорого", "loss_reasons"), {WIN_BACK}, "причины отказа «Дорого» нет в аккаунте"),
    (without("Согласование", "task_types"), {NEW_CLIENT}, "типа задачи «Согласование» нет в аккаунте"),
    (without("Дмитрий Титов", "users"), {NEW_CLIENT}, "«Дмитрий Титов» нет в аккаунте"),
    (without("Елена Орлова", "users"), {NEW_CLIENT, PAID}, "роль «head»: пользователя «Елена Орлова» нет в аккаунте"),
    (options(lambda enums: tuple(one for one in enums if one.value != "Предоплата")), {NEW_CLIENT},
     "варианта поля «Тип оплаты» «Предоплата» нет в аккаунте"),
    (options(lambda enums: tuple(one for one in enums if one.value != "Постоплата")), {PAID}, "«Постоплата» нет"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "rules", "words"), LOST, ids=[words for _, _, words in LOST])
def test_a_lost_name_breaks_the_rules_that_need_it_and_no_others(
    change: Change, rules: set[str], words: str, tmp_path: Path
) -> None:
    found = fitted(tmp_path, change)
    assert set(found.broken) == rules
    assert all(words in why for why in found.broken.values())
    assert found.renamed == []
    on = {rule.name for rule in found.config.rules if rule.works}
    assert on == {NEW_CLIENT, MEETING, WIN_BACK, PAID} - rules
    assert {rule.name for rule in found.working.rules if rule.enabled} == on


def test_without_memory_a_renamed_name_is_lost_with_the_nearest_told(tmp_path: Path) -> None:
    change = renamed("Новый клиент", "Новый клиент!", "stages")
    found = fit(loaded(tmp_path, TEXT), change(agency()))
    assert set(found.broken) == {NEW_CLIENT}
    assert "может быть, «Продажи / Новый клиент!»?" in found.broken[NEW_CLIENT]


def test_a_name_that_another_thing_has_now_means_that(tmp_path: Path) -> None:
    """The stage was renamed, and a new one has its old name: the config says the name."""

    def swapped(known: Account) -> Account:
        old = known.stage("Продажи / Новый клиент")
        moved = renamed("Новый клиент", "Прежний", "stages")(known)
        return replace(moved, stages=(*moved.stages, replace(old, status_id=7)))

    found = fitted(tmp_path, swapped)
    assert (found.renamed, found.broken) == ([], {})
    stage = next(one for one in found.found if one.kind == "stage" and one.name == "продажи / новый клиент")
    assert stage.id.endswith(":7")


def test_two_of_the_new_name_are_not_guessed_between(tmp_path: Path) -> None:
    def doubled(known: Account) -> Account:
        moved = renamed("Новый клиент", "Вход", "stages")(known)
        twin = replace(moved.stage("Продажи / Вход"), status_id=7)
        return replace(moved, stages=(*moved.stages, twin))

    assert set(fitted(tmp_path, doubled).broken) == {NEW_CLIENT}


def test_a_secret_field_stays_secret_under_its_new_name(tmp_path: Path) -> None:
    found = fitted(tmp_path, renamed("Тип клиента", "Клиент", "all_fields"))
    assert found.config.bridge.secret_fields == ("Клиент",)


def test_who_is_switched_off_breaks_nothing_and_is_told(tmp_path: Path) -> None:
    def off(known: Account) -> Account:
        users = tuple(replace(one, is_active=one.name != "Дмитрий Титов") for one in known.users)
        return replace(known, users=users)

    found = fitted(tmp_path, off)
    assert found.broken == {}
    assert any("пользователь «Дмитрий Титов» отключён в amoCRM" in words for words in found.problems)


def test_rules_that_are_off_are_not_compared_nor_what_only_they_need(tmp_path: Path) -> None:
    """A blank account: all 55 rules of the example are off, so there is nothing to be wrong."""
    blank = replace(agency(), all_fields=(), stages=(), pipelines=(), users=(), loss_reasons=(), task_types=())
    path = tmp_path / "config.toml"
    path.write_text(EXAMPLE.read_text("utf-8").replace("enabled = true", "enabled = false"), "utf-8")
    assert unknown_names(load(path, {}), blank) == []
    found = fit(load(path, {}), blank)
    assert found.broken == {}
    assert {issue.state for issue in found.issues} <= {"unneeded"}


def test_a_role_that_only_rules_that_are_off_name_is_not_compared(tmp_path: Path) -> None:
    text = GOOD.replace('otherwise = "Павел Смирнов"', 'otherwise = "Никто"')
    assert unknown_names(loaded(tmp_path, text), agency()) == []
    assert unknown_names(loaded(tmp_path, text.replace("enabled = false", "enabled = true")), agency()) != []


def test_the_file_keeps_what_can_not_be_found_in_it(tmp_path: Path) -> None:
    found = fitted(tmp_path, renamed("Дорого", "Слишком дорого", "loss_reasons"))
    other = "[bridge]\ndata = 'Дорого'  # не причина\n"
    assert with_new_names(other, found.renamed) == other


@pytest.mark.parametrize(
    ("kinds", "names"),
    [
        ({}, []),
        ({"Бриф": "file"}, ["Бриф"]),
        ({"Тема запроса": "legal_entity"}, ["Тема запроса"]),
        ({"Тема запроса": "legal_entity", "Цели проекта": "legal_entity"}, []),
        ({"Рекламное агентство": "file"}, []),
        ({"Рекламное агентство": "formula"}, ["Рекламное агентство"]),
        ({"Связанная сделка": "linked_entity"}, ["Связанная сделка"]),
    ],
)
def test_fields_that_a_rule_wants_to_write_and_can_not(kinds: dict[str, str], names: list[str], tmp_path: Path) -> None:
    """Set: «Бриф»; carried as: «Цели проекта» → «Тема запроса»; carried: «Рекламное агентство»; the link."""
    text = GOOD.replace(
        'note = "Дальше здесь',
        'carry_fields = ["Рекламное агентство"]\ncarry_as = { "Цели проекта" = "Тема запроса" }\n'
        'link_field = "Связанная сделка"\nnote = "Дальше здесь',
    )
    text += (
        '\n[handlers.filled_field_starts_deeds.brief]\nenabled = true\nfields = ["Источник"]\n'
        'do = { set_fields = { "Бриф" = "есть" } }\n'
    )
    fields = tuple(replace(one, type=kinds.get(one.name, one.type)) for one in agency().all_fields)
    found = unwritable(loaded(tmp_path, text), replace(agency(), all_fields=fields))
    assert [words.split("поле «")[1].split("»")[0] for words in found] == names


@pytest.mark.parametrize(
    ("before", "after", "is_refused"),
    [
        ("on", "on", False), ("off", "on", True), ("on", "off", False), ("off", "off", False), ("absent", "on", True),
    ],
)  # fmt: skip
@pytest.mark.parametrize("shared_with_a_broken_rule", [False, True])
def test_only_what_was_on_already_goes_on_as_broken(
    before: str, after: str, *, is_refused: bool, shared_with_a_broken_rule: bool, tmp_path: Path
) -> None:
    """The rule gives its task to a role whose person is lost; another rule may give one to the same role."""
    rule = """
[handlers.filled_field_starts_deeds.{name}]
enabled = {enabled}
fields = ["Источник"]
do = {{ task = {{ text = "Проверить", to = "legal", due = "1 d" }} }}
"""

    def fitted(state: str) -> Fit:
        text = GOOD.replace("[roles]\n", '[roles]\nlegal = "Нет Такой"\n')
        if shared_with_a_broken_rule:
            text += rule.format(name="other", enabled="true")
        if state != "absent":
            text += rule.format(name="mine", enabled="true" if state == "on" else "false")
        return fit(loaded(tmp_path, text), agency())

    problems = fitted(after).new_problems(fitted(before))
    assert bool(problems) == is_refused
    assert all("Нет Такой" in words for words in problems)
