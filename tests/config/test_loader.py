"""A config that can't be read at all: what is said, and on which line."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.config_text import GOOD, loaded, problems_of, spoilt, write

from amo_bridge.config.loader import load
from amo_bridge.errors import ConfigError

LAST = GOOD.count("\n") + 1


@pytest.mark.parametrize(
    ("added", "words"),
    [
        ("enabled = true", "такой ключ или раздел уже есть, в строке 53; оставьте один"),
        ("[account]", "такой ключ или раздел уже есть, в строке 1; оставьте один"),
        ("[account.url]", "такой ключ или раздел уже есть, в строке 2; оставьте один"),
        ("when = { tag = 'a', tag = 'b' }", "такой ключ или раздел уже есть"),
        ("dry_run = True", "да и нет — true и false"),
        ("says = Сделка", "текст пишется в кавычках"),
        ('says = "Сделка', "текст не закрыт: не хватает кавычки"),
        ('says = "файл "КП""', "внутри текста кавычки — «ёлочки»"),
        (r'says = "C:\data"', "обратная черта в тексте пишется дважды"),
        ("says", "после ключа нужен знак ="),
        ("[handlers.x", "имя раздела не закрыто: не хватает ]"),
        ("при = 1", "русский ключ пишется в кавычках"),
        ("since = 2026-02-30", "такой даты нет"),
    ],
)
def test_not_toml(added: str, words: str, tmp_path: Path) -> None:
    [told] = problems_of(tmp_path, GOOD + added + "\n")
    assert told.startswith(f"config.toml, строка {LAST}: это не TOML: ")
    assert words in told


@pytest.mark.parametrize("added", ['tags = ["a"\n', 'tags = ["a",\n', "tags = [{a = 1, ", 'says = """много'])
def test_not_toml_up_to_the_end(added: str, tmp_path: Path) -> None:
    [told] = problems_of(tmp_path, GOOD + added)
    where = f"config.toml, строка {LAST}: это не TOML: файл кончается посреди значения"
    assert told == f"{where}: не закрыта скобка или кавычка — {added.strip()}"


@pytest.mark.parametrize(
    ("text", "first"),
    [("enabled = true\n", 53), ("[handlers.stage_needs_fields.meeting]\n", 41)],
)
def test_something_doubled_names_the_line_of_the_first(text: str, first: int, tmp_path: Path) -> None:
    [told] = problems_of(tmp_path, GOOD + text)
    assert f"в строке {first};" in told
    assert GOOD.splitlines()[first - 1].startswith(text.split("=")[0].strip())


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path, {}).account.url == "https://agency.amocrm.ru"


def test_another_encoding(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(GOOD.encode("cp1251"))
    assert _only_problem(path) == "config.toml, строка 9: файл не в UTF-8; сохраните его в этой кодировке"


def test_no_file(tmp_path: Path) -> None:
    told = _only_problem(tmp_path / "config.toml")
    assert str(tmp_path) in told
    assert "нет; начните с копии config.example.toml" in told


def test_a_folder(tmp_path: Path) -> None:
    assert "папка, а нужен файл настройки" in _only_problem(tmp_path)


def test_a_file_within_a_file(tmp_path: Path) -> None:
    assert "не читается" in _only_problem(write(tmp_path) / "config.toml")


def test_an_empty_file_says_what_is_missing(tmp_path: Path) -> None:
    assert problems_of(tmp_path, "") == ["config.toml [account] url: обязательный ключ не задан, допишите его"]


def test_a_config_without_rules_is_a_config(tmp_path: Path) -> None:
    assert loaded(tmp_path, '[account]\nurl = "https://agency.amocrm.ru"\n').rules == ()


def test_a_folder_of_own_handlers_that_is_not_there(tmp_path: Path) -> None:
    text = spoilt('data = "data"', 'own_handlers = "mine"')
    [told] = problems_of(tmp_path, text)
    assert told == f"config.toml, строка 7 [bridge] own_handlers: папки с обработчиками {tmp_path / 'mine'} нет"


def test_own_handlers_are_judged_beside_the_rest(tmp_path: Path) -> None:
    """A folder that can't be read must not make every rule of it look like a typo; a typo in a shipped name is told."""
    text = spoilt('data = "data"', 'own_handlers = "mine"\ndata = 5')
    text = spoilt(
        "[handlers.stage_needs_fields.meeting]", "[handlers.vip_gets_a_call.x]\n[handlers.stage_need_fields.x]", text
    )
    found = problems_of(tmp_path, text)
    assert [problem.split("]")[0].split("[")[1] for problem in found] == [
        "bridge",
        "bridge",
        "handlers.stage_need_fields",
    ]


def _only_problem(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load(path, {})
    [told] = caught.value.problems
    return told
