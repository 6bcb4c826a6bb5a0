from dataclasses import replace

import pytest
from support.builders import deal, entered

from amo_bridge.rules.actions import Lack, RollBack, Skip
from amo_bridge.rules.deal import AttachedFile
from handlers.stage_needs_file import StageNeedsFile, stage_needs_file

DOING = "Реализация / Исполнение"
WON = "Реализация / Успешно реализовано"
LOST = "Реализация / Закрыто и не реализовано"
NAMED = 'Отчет по проекту "{Название}"'


def options(**changed):
    return StageNeedsFile.model_validate({"leaving": [DOING]} | ({"named": NAMED} | changed))


def moved(*names, to=WON, other_name="", **event):
    files = tuple(AttachedFile(name=name, other_name=other_name) for name in names)
    return entered(to, DOING, **event), deal(to, files=files)


@pytest.mark.parametrize("names", [(), ("Отчет по проекту.pdf",), ("Отчет по проекту «Лютик».pdf",), ("Договор.pdf",)])
def test_without_the_file_the_deal_is_put_back_and_its_name_is_told(names):
    said = stage_needs_file(*moved(*names), options())
    assert isinstance(said, RollBack)
    assert said.missing == (Lack("приложите файл", 'Отчет по проекту "Ромашка"'),)


@pytest.mark.parametrize(
    "name", ["Отчет по проекту «Ромашка».pdf", "ОТЧЁТ ПО ПРОЕКТУ РОМАШКА.docx", "otchet_po_proektu_romashka.pdf"]
)
def test_with_the_file_it_passes(name):
    said = stage_needs_file(*moved("Договор.pdf", name), options())
    assert said == Skip("нужный файл приложен")


def test_the_name_that_amocrm_transliterated_counts():
    assert isinstance(
        stage_needs_file(*moved("x81.pdf", other_name="Otchyot po proektu Romashka.pdf"), options()), Skip
    )


def test_how_a_name_begins_may_be_enough():
    rule = options(named=None, name_starts_with=["Договор", "Контракт"])
    assert isinstance(stage_needs_file(*moved("Контракт №5.pdf"), rule), Skip)
    said = stage_needs_file(*moved("Счет.pdf"), rule)
    assert isinstance(said, RollBack)
    assert said.needs == "приложите файл: «Договор …»"


@pytest.mark.parametrize(("name", "passes"), [("IMG_2031.HEIC", True), ("чек.pdf", True), ("Договор.pdf", False)])
def test_any_picture_may_be_enough_by_its_kind(name, passes):
    rule = options(named=None, name_starts_with=["Чек"], pictures=True)
    said = stage_needs_file(*moved(name), rule)
    assert isinstance(said, Skip) == passes
    if not passes:
        assert said.needs == "приложите файл: «Чек … (или любая картинка)»"


def test_a_picture_alone_is_asked_for():
    said = stage_needs_file(*moved("Договор.pdf"), options(named=None, pictures=True))
    assert said.needs == "приложите файл: «любая картинка»"


@pytest.mark.parametrize(
    ("situation", "changed", "reason"),
    [
        pytest.param(moved(user_is=("head",)), {"may_pass": ["head"]}, "можно", id="руководитель"),
        pytest.param(moved(to=LOST), {}, "не проверяет", id="потеряли"),
        pytest.param(moved(), {"when": {"field": "Тип клиента", "filled": True}}, "условие", id="условие"),
        pytest.param((entered(WON, DOING), deal(DOING)), {}, "уже ушла", id="уже вернули"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(situation, changed, reason):
    said = stage_needs_file(*situation, options(**changed))
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_some_way_to_name_the_file_is_needed():
    with pytest.raises(ValueError, match="какой файл"):
        StageNeedsFile.model_validate({"leaving": [DOING]})


def test_either_name_will_do():
    rule = options(name_starts_with=["Акт"])
    assert isinstance(stage_needs_file(*moved("Акт 5.pdf"), rule), Skip)
    assert isinstance(stage_needs_file(*moved("Отчет по проекту Ромашка.pdf"), rule), Skip)


PAID = {"or_fields": ["Договор подписан", "Оплата получена"]}


def test_a_field_does_as_well_and_all_ways_are_told():
    rule = options(named=None, name_starts_with=["Договор … подписан"], **PAID)
    said = stage_needs_file(*moved("Договор 17.pdf", "Договор 17 не подписан.pdf"), rule)
    assert said.needs == (
        "приложите файл: «Договор … подписан …»; или вместо него заполните: «Договор подписан», «Оплата получена»"
    )
    assert isinstance(stage_needs_file(*moved("Договор 17 подписан.pdf"), rule), Skip)


@pytest.mark.parametrize(("fields", "passes"), [({"Оплата получена": True}, True), ({"Оплата получена": False}, False)])
def test_of_several_fields_one_is_enough(fields, passes):
    event, now = moved("Договор 17.pdf")
    said = stage_needs_file(event, replace(now, fields=fields), options(**PAID))
    assert isinstance(said, Skip) == passes
