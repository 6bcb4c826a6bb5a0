"""Every example has an account of its own that it fits: ``check`` finds nothing, ``rehearse --example`` plays it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from support.local_crm import TOKEN, served

from amo_bridge.sandbox.account_file import SHIPPED, shipped
from amo_bridge.sandbox.account_start import load_world

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "agency": "config.example.toml",
    "school": "examples/webinar.toml",
    "clients": "examples/client_department.toml",
    "smm": "examples/smm.toml",
    "remote": "examples/remote_sales.toml",
}
Run = Callable[..., Result]


def test_every_account_and_every_example_is_one_of_a_pair() -> None:
    assert set(EXAMPLES) == set(SHIPPED)
    assert {name for name in EXAMPLES.values() if "/" in name} == {
        str(path.relative_to(ROOT)) for path in (ROOT / "examples").glob("*.toml")
    }


@pytest.mark.parametrize("account", EXAMPLES)
def test_an_example_that_is_copied_as_it_says_fits_its_account(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, account: str
) -> None:
    """Beside config.example.toml, where the first agency's letters and scripts stand too."""
    for folder in (ROOT / "letters", ROOT / "scripts", ROOT / "examples" / "smm"):
        shutil.copytree(folder, tmp_path / folder.name)
    config = Path(shutil.copy(ROOT / EXAMPLES[account], tmp_path / "config.toml"))
    with served(load_world(SHIPPED[account])) as crm:
        monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", crm.url)
        monkeypatch.setenv("AMO_BRIDGE_TOKEN", TOKEN)
        told = run("check", config=config)
    assert told.exit_code == 0, told.stdout + told.stderr


def test_a_folder_of_an_accounts_name_does_not_hide_the_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever copies an example's folder has one."""
    monkeypatch.chdir(tmp_path)
    Path("smm").mkdir()
    assert shipped(Path("smm")) == SHIPPED["smm"]
    Path("remote").write_text("{}", "utf-8")
    assert shipped(Path("remote")) == Path("remote"), "a file of one's own"


@pytest.mark.parametrize("account", EXAMPLES)
def test_it_is_rehearsed_without_an_account(run: Run, account: str) -> None:
    told = run("rehearse", "--example", account, "--days", "8", config=ROOT / EXAMPLES[account])
    assert told.exit_code == 0, told.stderr
    assert "Репетиция: 8 дн." in told.stdout


def test_the_letters_and_scripts_that_come_along_can_be_filled(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As somebody would begin who copies the example with its folder and switches his mail on."""
    shutil.copytree(ROOT / "examples" / "smm", tmp_path / "smm")
    config = tmp_path / "config.toml"
    config.write_text(with_mail((ROOT / EXAMPLES["smm"]).read_text("utf-8")), "utf-8")
    with served(load_world(SHIPPED["smm"])) as crm:
        monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", crm.url)
        monkeypatch.setenv("AMO_BRIDGE_TOKEN", TOKEN)
        assert "знает все имена" in run("check", config=config).stdout
        letter = tmp_path / "smm" / "letters" / "реквизиты.txt"
        whole = letter.read_text("utf-8")
        letter.write_text(whole.replace("Оплатить можно", "Впишите сюда реквизиты. Оплатить можно"), "utf-8")
        told = run("check", config=config)
        assert told.exit_code == 2
        assert "шаблон письма «реквизиты» не дописан: реквизиты.txt, строка 11: «Впишите сюда реквизиты" in told.stderr
        letter.write_text(whole, "utf-8")
        without = config.read_text("utf-8").replace('agency."БИК"', 'agency."БИГ"')
        config.write_text(without, "utf-8")
        told = run("check", config=config)
        assert "нужны реквизиты агентства: БИК (agency в [mail])" in told.stderr
        config.write_text(without.replace('agency."БИГ"', 'agency."БИК"'), "utf-8")
        for name in ("letters/счёт.txt", "scripts/script-1.txt"):
            path = tmp_path / "smm" / name
            path.write_text(path.read_text("utf-8") + '{{ поле["Нет такого"] }}\n', "utf-8")
        told = run("check", config=config)
    assert "знает все имена" not in told.stdout
    assert (told.stdout + told.stderr).count("Нет такого") >= 2, "in the letter and in the script"


def with_mail(text: str) -> str:
    """The section that the example shows in comments, for a mail server that is not there."""
    shown = text.partition("# [mail]\n")[2].partition("\n\n")[0].replace("smtp.yandex.ru", "127.0.0.1")
    lines = [line.removeprefix("# ") for line in shown.splitlines() if "=" in line]
    return "\n".join([text, "[mail]", *lines, "port = 1", ""])
