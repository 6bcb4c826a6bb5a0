from datetime import timedelta

import pytest
from support.builders import NOON, deal, file_attached

from amo_bridge.rules.actions import MoveDeal, Skip
from handlers.file_moves_deal import FileMovesDeal, file_moves_deal

READY = "Продажи / Бриф получен"
OFFER = "Продажи / Согласование КП"


def options(**changed):
    facts = {"name_starts_with": ["Коммерческое предложение"], "from_stages": [READY], "to_stage": OFFER}
    return FileMovesDeal.model_validate(facts | changed)


@pytest.mark.parametrize(
    "name",
    [
        "Коммерческое предложение для Ромашки.pdf",
        "коммерческое предложение.docx",
        "«Коммерческое  предложение» v2.pdf",
        "Коммерческое_предложение_финал.pdf",
        "Kommercheskoe predlozhenie Romashka.pdf",
        "Kommercheskoe_predlojenie.pdf",
    ],
)
def test_the_file_moves_the_deal(name):
    said = file_moves_deal(file_attached(name), deal(READY), options())
    assert said == MoveDeal(deal_id=7, to=OFFER)


@pytest.mark.parametrize(
    ("name", "moves"), [("photo_2026-10-05.jpg", True), ("Скрин.PNG", True), ("Коммерческое предложение.pdf", False)]
)
def test_any_picture_moves_the_deal_by_its_kind(name, moves):
    said = file_moves_deal(file_attached(name), deal(READY), options(name_starts_with=[], pictures=True))
    assert isinstance(said, MoveDeal) == moves


def test_a_rule_without_any_file_is_refused():
    with pytest.raises(ValueError, match="какой файл"):
        options(name_starts_with=[])


@pytest.mark.parametrize(
    ("name", "now", "reason"),
    [
        pytest.param("Договор.pdf", deal(READY), "назван не так", id="другой файл"),
        pytest.param("Черновик. Коммерческое предложение.pdf", deal(READY), "назван не так", id="слова не в начале"),
        pytest.param("Коммерческое предложение.pdf", deal(OFFER), "уже на нужном", id="уже там"),
        pytest.param("Коммерческое предложение.pdf", deal(), "не ждёт", id="этап не ждёт файла"),
        pytest.param("", deal(READY), "назван не так", id="имени нет"),
    ],
)
def test_nothing_is_done_and_the_reason_is_told(name, now, reason):
    said = file_moves_deal(file_attached(name), now, options())
    assert isinstance(said, Skip)
    assert reason in said.reason


def test_other_names_and_stages_are_only_a_matter_of_the_config():
    rule = options(name_starts_with=["Договор", "Счёт"], from_stages=["Продажи / Утвержденный проект"])
    now = deal("Продажи / Утвержденный проект")
    assert isinstance(file_moves_deal(file_attached("Счет № 5.pdf"), now, rule), MoveDeal)


def test_a_condition_may_hold_it_back():
    rule = options(when={"field": "Тип клиента", "filled": True})
    assert isinstance(file_moves_deal(file_attached("Коммерческое предложение.pdf"), deal(READY), rule), Skip)


@pytest.mark.parametrize(("acted", "moves"), [(None, True), (-1, True), (0, False), (1, False)])
def test_of_files_attached_at_one_moment_one_moves_the_deal(acted, moves):
    """The first one moved it and a gate put it back: the second does not move it again."""
    own_acts = () if acted is None else (NOON + timedelta(minutes=acted),)
    now = deal(READY, own_acts=own_acts)
    assert isinstance(file_moves_deal(file_attached("Коммерческое предложение.pdf"), now, options()), MoveDeal) == moves
