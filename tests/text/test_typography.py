"""Quotes within quotes, sums of money, and places that are not filled yet, as people write them."""

from __future__ import annotations

import pytest

from amo_bridge.text.typography import action_words, money, nested_quotes


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("примечание «Потеряна («Дорого»)»", "примечание «Потеряна („Дорого“)»"),
        ("«a «b «c»» d» и «e»", "«a „b „c““ d» и «e»"),
        ("этап → «Бриф»", "этап → «Бриф»"),
        ("«a „b“ c»", "«a „b“ c»"),
        ("«не закрыто «так»", "«не закрыто «так»"),
        ("закрыто» дважды «", "закрыто» дважды «"),
        ("", ""),
    ],
)
def test_quotes_within_quotes_are_of_the_other_kind(text: str, written: str) -> None:
    assert nested_quotes(text) == written
    assert nested_quotes(written) == written, "once is enough"


def test_the_deal_to_come_is_named_and_no_place_is_left_raw() -> None:
    told = action_words("примечание «Сделка потеряна («Дорого»). Дальше здесь: {new.url}, № {new.id}»")
    assert told == "примечание «Сделка потеряна („Дорого“). Дальше здесь: адрес новой сделки, № номер новой сделки»"


@pytest.mark.parametrize(
    ("amount", "currency", "language", "written"),
    [
        (500, "RUB", "ru", "500 ₽"),
        (150_000, "RUB", "ru", "150 000 ₽"),
        (5000, "KZT", "ru", "5 000 ₸"),
        (5000, "USD", "ru", "5 000 $"),
        (5000, "RUB", "en", "5,000 RUB"),
        (5000, "", "ru", "5 000"),
        (5000, "тугрик", "ru", "5 000 тугрик"),
    ],
)
def test_a_sum_is_written_with_the_sign_of_its_currency(
    amount: int, currency: str, language: str, written: str
) -> None:
    assert money(amount, currency, language).replace("\xa0", " ") == written
