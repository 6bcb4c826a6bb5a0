"""Files that go along with letters: all of them or no letter, and why in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.letter_office import LetterOffice
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office

from amo_bridge.storage.database import Store


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def letters(store: Store, sandbox: LocalCrm, post: Post, tmp_path: Path) -> LetterOffice:
    return LetterOffice(store, sandbox, post, tmp_path)


def test_a_file_beside_the_templates_and_the_deals_newest_go_along(letters: LetterOffice) -> None:
    (letters.folder / "файлы").mkdir()
    (letters.folder / "файлы" / "Бриф.docx").write_bytes(b"PK brief")
    letters.attach("Счёт № 1.pdf", "старый")
    letters.attach("счет № 2.pdf", "новый")
    letters.attach("Договор.pdf")
    letters.send({"file": "файлы/Бриф.docx"}, {"deal_file": ["Акт", "Счёт"]})
    assert letters.files() == {"Бриф.docx": b"PK brief", "счет № 2.pdf": "новый".encode()}
    ((state, told),) = letters.letters()
    assert (state, "вложения: Бриф.docx, счет № 2.pdf" in told) == ("done", True)
    assert "olga" not in told


def test_two_files_of_one_name_are_told_apart(letters: LetterOffice) -> None:
    (letters.folder / "Бриф.txt").write_text("раз", "utf-8")
    letters.attach("Бриф.txt", "два")
    letters.send({"file": "Бриф.txt"}, {"deal_file": ["Бриф"]})
    assert {name: content.decode().strip() for name, content in letters.files().items()} == {
        "Бриф.txt": "раз",
        "Бриф (2).txt": "два",
    }


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"deal_file": ["Счёт"]}, "файла «Счёт …» на сделке нет: приложите его и повторите письмо"),
        ({"file": "Нет такого.docx"}, "файла для писем «Нет такого.docx» нет"),
        ({"file": "../config.toml"}, "имя ведёт из папки шаблонов наружу"),
        ({"file": "Большой.bin"}, "файл «Большой.bin» не помещается в письмо: вложениям можно занять 1 МБ"),
    ],
)
def test_without_one_of_its_files_no_letter_goes(letters: LetterOffice, wanted: dict[str, Any], words: str) -> None:
    (letters.folder / "Бриф.docx").write_bytes(b"PK")
    (letters.folder / "Большой.bin").write_bytes(bytes((1 << 20) + 1))
    letters.send({"file": "Бриф.docx"}, wanted)
    ((state, why),) = letters.letters()
    assert (state, letters.post.taken) == ("failed", [])
    assert words in why


def test_a_deals_file_that_is_too_large_is_told_by_its_name(letters: LetterOffice) -> None:
    letters.attach("Счёт.pdf", "я" * (1 << 20))
    letters.send({"deal_file": ["Счёт"]})
    ((state, why),) = letters.letters()
    assert state == "failed"
    assert "файл сделки «Счёт.pdf» не помещается в письмо" in why


def test_together_they_must_fit_too(letters: LetterOffice) -> None:
    for name in ("1.bin", "2.bin"):
        (letters.folder / name).write_bytes(bytes(700_000))
    letters.send({"file": "1.bin"}, {"file": "2.bin"})
    assert letters.letters()[0][0] == "failed"
    letters.send({"file": "1.bin"})
    assert len(letters.post.taken) == 1


def test_while_amocrm_gives_no_file_the_letter_waits(letters: LetterOffice) -> None:
    letters.attach("Счёт.pdf")
    letters.crm.fault("status", status=503, path="/api/v4/leads/*/files", count=None)
    letters.send({"deal_file": ["Счёт"]})
    ((state, why),) = letters.letters()
    assert (state, letters.post.taken) == ("ready", [])
    assert "amoCRM пока не отвечает" in why
    letters.crm.good_weather()
    letters.round(minutes=30)
    assert (letters.letters()[0][0], list(letters.files())) == ("done", ["Счёт.pdf"])
