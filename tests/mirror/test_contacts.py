"""The contacts' index: who has this phone, this mail, this surname."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from support.fakes import ACCOUNT, NOON, at

from amo_bridge.crm.records import ContactRecord
from amo_bridge.events import ClientUpdated, FieldValue
from amo_bridge.mirror.contacts import ContactIndex, MirroredContact
from amo_bridge.storage.database import AccountStore, Store

KIND = 77


def contact(number: int, name: str, **more: Any) -> MirroredContact:
    return MirroredContact(id=number, name=name, **({"updated_at": NOON} | more))


def keep(store: Store, *some: MirroredContact) -> ContactIndex:
    index = ContactIndex(AccountStore(store, ACCOUNT))
    with store.write() as connection:
        index.put(connection, some, NOON)
    return index


def names(found: list[MirroredContact]) -> list[str]:
    return [one.name for one in found]


def test_a_contact_that_was_read_is_kept_in_comparable_form() -> None:
    record = ContactRecord(
        id=5,
        name="Иванова Анна",
        last_name="Иванова",
        responsible_user_id=3,
        company_id=8,
        phones=("8 (916) 123-45-67, 84951234567", "нет", "+79161234567"),
        emails=("Anna@Example.ru",),
        deal_ids=(1, 2),
        fields={KIND: ("блогер",), 78: ("лишнее",)},
        updated_at=NOON,
    )
    assert MirroredContact.of(record, [KIND, 79]) == MirroredContact(
        id=5,
        name="Иванова Анна",
        surname="Иванова",
        responsible_user_id=3,
        company_id=8,
        phones=("+79161234567", "+74951234567"),
        mails=("anna@example.ru",),
        deal_ids=(1, 2),
        fields={KIND: ("блогер",)},
        updated_at=NOON,
    )


def test_what_is_kept_comes_back_as_it_was(store: Store) -> None:
    whole = contact(
        1, "Анна", surname="Ё", responsible_user_id=2, company_id=3, phones=("+79161234567",), mails=("a@b.ru",),
        deal_ids=(4, 5), fields={KIND: ("блогер",)},
    )  # fmt: skip
    bare = MirroredContact(id=2)
    index = keep(store, whole, bare)
    assert index.get([1, 2, 3]) == {1: whole, 2: bare}
    assert index.count() == 2
    assert ContactIndex(AccountStore(store, ACCOUNT + 1)).get([1, 2]) == {}


def test_a_phone_is_found_however_it_is_typed(store: Store) -> None:
    anna = contact(1, "Анна", phones=("+79161234567",))
    twin = contact(2, "Анна ещё раз", phones=("+79161234567", "+74951234567"))
    index = keep(store, anna, twin, contact(3, "Борис", phones=("+79160000000",)))
    found = index.by_phones(["8 (916) 123-45-67", "+7 495 123 45 67", "+79169999999", "нет"])
    assert found == {"8 (916) 123-45-67": (anna, twin), "+7 495 123 45 67": (twin,)}
    assert ContactIndex(AccountStore(store, ACCOUNT + 1)).by_phones(["89161234567"]) == {}


def test_a_mail_is_found_whatever_the_letter_case(store: Store) -> None:
    anna = contact(1, "Анна", mails=("anna@example.ru",))
    index = keep(store, anna)
    assert index.by_mails(["ANNA@example.ru", "boris@example.ru", "нет"]) == {"ANNA@example.ru": (anna,)}


def test_many_are_looked_for_at_once(store: Store) -> None:
    index = keep(
        store, *(contact(number, f"К {number}", mails=(f"k{number}@example.ru",)) for number in range(1, 1201))
    )
    found = index.by_mails(f"k{number}@example.ru" for number in range(1, 2001))
    assert len(found) == 1200
    assert found["k700@example.ru"][0].id == 700


@pytest.mark.parametrize(
    ("letters", "expected"),
    [
        ("ива", ["Анна Иванова", "Иванов Пётр", "ИВАНЧУК"]),
        ("ИВАНО", ["Анна Иванова", "Иванов Пётр"]),
        ("иванов пет", ["Иванов Пётр"]),
        ("ёжи", ["Ежиков"]),
        ("Анна", []),
        ("Пётр", ["Иванов Пётр"]),
        ("ванов", []),
        ("", []),
        ("  ", []),
    ],
)
def test_a_surname_is_found_by_its_first_letters(store: Store, letters: str, expected: list[str]) -> None:
    index = keep(
        store,
        contact(1, "Анна Иванова", surname="Иванова"),
        contact(2, "Иванов Пётр"),
        contact(3, "ИВАНЧУК"),
        contact(4, "Ежиков"),
    )
    assert names(index.by_surname(letters)) == expected


def test_only_those_of_a_kind_and_not_too_many(store: Store) -> None:
    index = keep(
        store,
        contact(1, "Иванов А", fields={KIND: ("Блогер", "подрядчик")}),
        contact(2, "Иванов Б", fields={KIND: ("клиент",)}),
        contact(3, "Иванов В"),
        contact(4, "Иванов Г", fields={KIND: ("блогер",)}),
    )
    assert names(index.by_surname("ива", field_id=KIND, value="блогер")) == ["Иванов А", "Иванов Г"]
    assert names(index.by_surname("ива", most=2)) == ["Иванов А", "Иванов Б"]


def test_what_changed_is_found_by_the_new_words_only(store: Store) -> None:
    keep(store, contact(1, "Анна", surname="Иванова", phones=("+79161234567",)))
    index = keep(store, contact(1, "Анна", surname="Петрова", phones=("+74951234567",), updated_at=at(5)))
    assert index.by_phones(["+79161234567"]) == {}
    assert index.by_surname("ива") == []
    assert list(index.by_phones(["+74951234567"])) == ["+74951234567"]
    assert names(index.by_surname("пет")) == ["Анна"]


def test_what_was_read_earlier_does_not_overwrite(store: Store) -> None:
    newer = contact(1, "Новое имя", updated_at=at(5))
    keep(store, newer)
    assert keep(store, contact(1, "Старое имя")).get([1]) == {1: newer}


def test_the_same_second_read_again_counts(store: Store) -> None:
    keep(store, contact(1, "Анна"))
    assert keep(store, contact(1, "Анна", deal_ids=(9,))).get([1])[1].deal_ids == (9,)


def test_who_is_forgotten_is_found_by_nothing(store: Store) -> None:
    index = keep(store, contact(1, "Анна", mails=("a@b.ru",)), contact(2, "Анна", mails=("a@b.ru",)))
    with store.write() as connection:
        index.forget(connection, [1])
    assert [one.id for one in index.by_mails(["a@b.ru"])["a@b.ru"]] == [2]
    assert [one.id for one in index.by_surname("анна")] == [2]


def test_a_name_longer_than_a_key_is_kept_and_found(store: Store) -> None:
    index = keep(store, contact(1, "ж" * 500), contact(2, ("ж" * 130) + " " + ("ж" * 140)))
    assert {one.id for one in index.by_surname("жжж")} == {1, 2}


# --- what a hook can still tell ------------------------------------------------------------------------------------

ANNA = contact(
    1, "Анна", responsible_user_id=3, company_id=8, phones=("+74951234567", "+79161234567"), mails=("a@b.ru",),
    deal_ids=(4, 5), fields={KIND: ("блогер",)},
)  # fmt: skip
PHONES = FieldValue(field_id=1, code="PHONE", values=(("8 (916) 123-45-67", 11), ("84951234567", 11)))
MAIL = FieldValue(field_id=2, code="EMAIL", values=(("A@b.ru", 12),))
BLOGGER = FieldValue(field_id=KIND, values=(("блогер", None),))
OTHER = FieldValue(field_id=78, values=(("лишнее", None),))
SAID = ClientUpdated(
    at=NOON, kind="contact", client_id=1, name="Анна", responsible_user_id=3, company_id=8, deal_ids=(5, 4),
    fields=(PHONES, MAIL, BLOGGER, OTHER),
)  # fmt: skip


@pytest.mark.parametrize(
    ("event", "covered"),
    [
        pytest.param(SAID, True, id="the same second, the same contents"),
        pytest.param(replace(SAID, at=at(-1), name="Аня", fields=()), True, id="an older word"),
        pytest.param(replace(SAID, at=at(1)), False, id="a later one"),
        pytest.param(replace(SAID, at=None), False, id="one without a time"),
        pytest.param(replace(SAID, name=None, fields=()), False, id="the same second, no contents"),
        pytest.param(replace(SAID, name="Аня"), False, id="another name"),
        pytest.param(replace(SAID, responsible_user_id=4), False, id="somebody else's"),
        pytest.param(replace(SAID, company_id=None), False, id="without its company"),
        pytest.param(replace(SAID, deal_ids=(4, 5, 6)), False, id="one more deal"),
        pytest.param(replace(SAID, fields=(PHONES, BLOGGER)), False, id="the mail taken off"),
        pytest.param(replace(SAID, fields=(replace(PHONES, code=None), MAIL, BLOGGER)), False, id="no phone"),
        pytest.param(replace(SAID, fields=(PHONES, MAIL)), False, id="a kept field emptied"),
    ],
)
def test_within_one_second_the_contents_decide_what_is_known(event: ClientUpdated, covered: bool) -> None:
    assert ANNA.covers(event, [KIND]) is covered
