"""The config file changed by the pages: one line and no more, never half written, no edit of somebody else lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support.running_bridge import EXAMPLE

from amo_bridge.config.blocks import values_of
from amo_bridge.config.files import ConfigFile, difference, with_key, with_section, without_section
from amo_bridge.config.loader import load, load_text
from amo_bridge.errors import ConfigError
from amo_bridge.versioned_file import KEPT

TEXT = EXAMPLE.read_text("utf-8")
RULES = [rule.path for rule in load(EXAMPLE, {}).rules]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "config.toml"
    path.write_text(TEXT, "utf-8")
    return path


@pytest.fixture
def file(path: Path, tmp_path: Path) -> ConfigFile:
    return ConfigFile(path, tmp_path / "data", {})


@pytest.mark.parametrize("block", RULES, ids=".".join)
@pytest.mark.parametrize("key", ["enabled", "dry_run"])
def test_a_switch_changes_one_line_and_the_rule(block: tuple[str, ...], key: str) -> None:
    before = next(rule for rule in load(EXAMPLE, {}).rules if rule.name == ".".join(block[1:]))
    text = with_key(TEXT, block, key, not getattr(before, key))
    changed = [line for line in difference(TEXT, text) if line[0] in "+-"]
    assert len(changed) == (2 if key == "enabled" else 1), changed
    after = {rule.name: rule for rule in load_text(EXAMPLE, text, {}).rules}
    assert getattr(after[before.name], key) is not getattr(before, key)
    for rule in load(EXAMPLE, {}).rules:
        if rule.name != before.name:
            assert after[rule.name].enabled == rule.enabled


def test_a_switch_turned_twice_leaves_the_file_as_it_was() -> None:
    block = RULES[0]
    was = load(EXAMPLE, {}).rules[0].enabled
    assert with_key(with_key(TEXT, block, "enabled", not was), block, "enabled", was) == TEXT


@pytest.mark.parametrize(
    "text",
    [
        "[handlers.a.b] # a comment\nenabled = true # why\nx = 1\n\n# next\n[handlers.a.c]\nenabled = true\n",
        "[handlers]\na.b = { enabled = true }\n",
        '[handlers.a."b"]\nx = """\n[handlers.a.b]\nenabled = true\n"""\nenabled = true\n',
    ],
    ids=["comments", "inline", "a header within a text"],
)
def test_other_ways_to_write_a_block(text: str) -> None:
    changed = with_key(text, ("handlers", "a", "b"), "enabled", False)
    lines = [line for line in difference(text, changed) if line[0] in "+-"]
    assert len(lines) == 2
    assert "enabled = false" in lines[1]
    assert "# why" not in text or "# why" in changed


@pytest.mark.parametrize(
    "text",
    [
        '[handlers.a.b]\nx = """\nenabled = true\n"""\n[handlers.a.c]\n',
        '[handlers.a.b]\nenabled_for = [\n  "x",\n]\n[handlers.a.c]\n',
        "[handlers.a.b]\n[handlers.a.c]\nenabled = true\n",
    ],
    ids=["within a text", "the beginning of another key", "of another block"],
)
def test_a_new_key_stands_below_the_blocks_own_switch_and_nothing_like_it(text: str) -> None:
    changed = with_key(text, ("handlers", "a", "b"), "dry_run", True)
    assert changed == text.replace("[handlers.a.b]\n", "[handlers.a.b]\ndry_run = true\n")


def test_a_section_that_is_a_list_of_tables_is_told() -> None:
    with pytest.raises(ConfigError, match="записан необычно"):
        with_section("[[mail]]\nport = 1\n", "mail", {"port": 2})


def test_a_block_that_is_not_there_is_told() -> None:
    with pytest.raises(ConfigError, match=r"\[handlers\.a\.b\] в файле нет"):
        with_key(TEXT, ("handlers", "a", "b"), "enabled", False)


def test_saved_and_the_version_before_kept(file: ConfigFile, path: Path) -> None:
    before = file.read()
    text = with_key(before.text, RULES[0], "enabled", False)
    os.chmod(path, 0o640)
    file.save(text, before.mark)
    assert path.read_text("utf-8") == text
    assert path.stat().st_mode & 0o777 == 0o640
    (kept,) = file.backups()
    assert file.backup(kept.name) == TEXT
    assert sorted(one.name for one in path.parent.iterdir()) == ["config.toml", "data"], "nothing is left lying about"


def test_what_changed_meanwhile_is_not_overwritten(file: ConfigFile, path: Path) -> None:
    before = file.read()
    path.write_text(TEXT + "# чужая правка\n", "utf-8")
    with pytest.raises(ConfigError, match="изменился, пока вы правили"):
        file.save(TEXT + "# моя\n", before.mark)
    assert "чужая" in path.read_text("utf-8")
    assert not file.backups()


def test_a_broken_text_is_never_written(file: ConfigFile, path: Path) -> None:
    before = file.read()
    with pytest.raises(ConfigError, match="лишнее"):
        file.save(TEXT + "\n[лишнее]\n", before.mark)
    assert path.read_text("utf-8") == TEXT


def test_ten_versions_are_kept(file: ConfigFile) -> None:
    for number in range(12):
        file.save(f"{TEXT}# {number}\n", file.read().mark)
    kept = file.backups()
    assert len(kept) == KEPT
    assert file.backup(kept[0].name).endswith("# 10\n")
    assert kept == sorted(kept, key=lambda one: one.at, reverse=True)


@pytest.mark.parametrize("name", ["../config.toml", "/etc/passwd", "config.1.toml", ""])
def test_only_a_version_before_can_be_asked_for(file: ConfigFile, name: str) -> None:
    with pytest.raises(ConfigError, match="прежней версии"):
        file.backup(name)


def test_line_ends_and_the_mark_at_the_beginning_stay(file: ConfigFile, path: Path) -> None:
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    before = file.read()
    assert before.text == TEXT
    file.save(before.text.replace("\n", "\r\n") + "# ещё\r\n", before.mark)
    after = path.read_bytes()
    assert after == b"\xef\xbb\xbf" + (TEXT + "# ещё\n").replace("\n", "\r\n").encode()


def test_a_file_that_can_not_be_replaced_is_told(file: ConfigFile, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a single file mounted into a container is."""

    def busy(*_: object) -> None:
        raise OSError(16, "Device or resource busy")

    monkeypatch.setattr(os, "replace", busy)
    before = file.read()
    with pytest.raises(ConfigError, match="измените его на сервере"):
        file.save(TEXT + "# ещё\n", before.mark)
    assert not list(path.parent.glob(".config.toml.*"))


def test_a_file_that_is_no_toml_is_told_and_not_changed() -> None:
    with pytest.raises(ConfigError, match=r"строка 2.*сначала исправьте"):
        with_key("[handlers]\n[never closed\n", ("handlers",), "enabled", False)


# --- whole sections ---------------------------------------------------------------------------------------------------

SECTIONS = """# top
[account]
url = "x"

# our mail
[mail] # here
host = "a" # the server
port = 25
# the rules begin
[handlers.x]
enabled = true
"""


def test_a_new_section_stands_at_the_end() -> None:
    text = with_section(SECTIONS, "smsru", {"sender": 'A "b"', "test": True, "quiet": None})
    assert text == f'{SECTIONS}\n[smsru]\nsender = "A \\"b\\""\ntest = true\n'


def test_keys_of_a_section_are_set_and_taken_out_and_the_rest_stays() -> None:
    text = with_section(SECTIONS, "mail", {"host": "b", "port": None, "user": "u", "note": False})
    assert text.partition("# our mail\n")[2] == (
        '[mail] # here\nuser = "u"\nnote = false\nhost = "b" # the server\n'
        "# the rules begin\n[handlers.x]\nenabled = true\n"
    )
    assert with_section(SECTIONS, "mail", {"host": "a", "port": 25}) == SECTIONS


def test_a_section_goes_and_the_comments_of_the_next_one_stay() -> None:
    text = without_section(SECTIONS, "mail")
    assert text == SECTIONS.replace('[mail] # here\nhost = "a" # the server\nport = 25\n', "")
    assert without_section(text, "mail") == text
    last = without_section(f'{text}\n[smsru]\nsender = "A"\n', "smsru")
    assert last.rstrip() == text.rstrip()


@pytest.mark.parametrize("text", ['mail = { host = "a" }\n', 'mail.host = "a"\n[x]\n', "[mail\n"])
def test_what_is_written_otherwise_is_for_people(text: str) -> None:
    with pytest.raises(ConfigError):
        with_section(text, "mail", {"user": "u"})
    with pytest.raises(ConfigError):
        without_section(text, "mail")


def test_a_section_in_pieces_is_not_half_deleted() -> None:
    with pytest.raises(ConfigError, match="записан необычно"):
        without_section('[mail]\nhost = "a"\n[mail.more]\nb = 1\n', "mail")


def test_what_a_section_has() -> None:
    assert values_of(SECTIONS, ["mail"]) == {"host": "a", "port": 25}
    assert values_of(SECTIONS, ["smsru"]) is None


def test_a_text_that_looks_like_a_section_is_left_alone() -> None:
    before = '[handlers.x]\ntext = """\n[smsru]\n"""\nlists = [\n  ["a"],\n]\n'
    text = f'{before}[smsru]\nsender = "A"\n'
    assert (
        with_section(text, "smsru", {"quiet": "22:00-08:00"})
        == f'{before}[smsru]\nquiet = "22:00-08:00"\nsender = "A"\n'
    )
    assert without_section(text, "smsru") == before
    assert with_key(text, ["handlers", "x"], "text", "b") == text.replace('"""\n[smsru]\n"""', '"b"')
