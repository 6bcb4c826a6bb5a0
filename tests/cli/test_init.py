"""``amo-bridge init``: from an empty folder to a config that fits, whoever answers the questions."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner, Result
from support.local_crm import TOKEN, LocalCrm, served
from support.provision_accounts import bare_account, crm_with
from support.running_bridge import ENVIRONMENT, RunningBridge

from amo_bridge.cli import main
from amo_bridge.config.loader import load
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.runtime.connection import tokens
from amo_bridge.sandbox.account_file import SHIPPED
from amo_bridge.sandbox.account_start import load_world
from amo_bridge.start.access import full_address

Init = Callable[..., Result]
# Regulation → its sandbox, a stage on which some rule acts at once, who works there.
JOURNEYS = {
    "agency": ("agency", "Продажи / Новый клиент", "Иван Петров"),
    "smm": ("smm", "Клиенты / Получена анкета", "Алина Жумабаева"),
    "webinar": ("school", "Вебинары / Думает (поговорили)", "Наталья Белова"),
    "remote": ("remote", "Отдел заботы / Новый клиент", "Роман Литвин"),
    "clients": ("clients", "Клиенты / В работе", "Антон Зуев"),
}


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Init:
    """The command in an empty folder, the token in a file beside it; ``typed``: what a person answers."""
    monkeypatch.delenv("AMO_BRIDGE_DATA")
    monkeypatch.chdir(tmp_path)
    Path("token").write_text(f"{TOKEN}\n", "utf-8")

    def invoke(url: str, *arguments: str, typed: str | None = None, token: str = "token") -> Result:
        told = ["init", "shop", "--address", url, "--token-file", token, *arguments]
        return CliRunner().invoke(main, told, input=typed, catch_exceptions=False)

    return invoke


def check() -> Result:
    return CliRunner().invoke(main, ["check", "--config", "shop/config.toml"], catch_exceptions=False)


@pytest.mark.parametrize("regulation", [*JOURNEYS, "empty"])
def test_from_an_empty_folder_to_a_bridge_that_decides_and_sends_nothing(
    init: Init, start_bridge: Callable[..., RunningBridge], regulation: str
) -> None:
    account, stage, person = JOURNEYS.get(regulation, JOURNEYS["agency"])
    with served(load_world(SHIPPED[account])) as crm:
        told = init(crm.url, "--regulation", regulation, "--yes")
        assert told.exit_code == 0, told.output
        checked = check()
        assert checked.exit_code == 0, checked.output
        config = load(Path("shop/config.toml"), {})
        config = replace(config, account=config.account.model_copy(update={"requests_per_second": 5000.0}))
        # Nothing of the environment's: the token is the one that was kept.
        outside = {name: value for name, value in ENVIRONMENT.items() if name == "AMO_BRIDGE_HOOK_SECRET"}
        running = start_bridge(config, environment=outside).wait_ready()
        crm.forget_requests()
        office = CrmUser(crm.url)
        deal = office.new_deal(person, "Ромашка", stage, office.new_contact(person, "Анна"), 5000)
        running.settle(crm)
        decided = [entry for entry in running.journal(deal) if entry.verdict == "would_act"]
        assert bool(decided) == (regulation != "empty")
        writes = [path for path in crm.requests() if path.startswith(("POST", "PATCH")) and "webhooks" not in path]
        assert writes == []
        running.stop()


def test_the_token_is_kept_encrypted_and_nowhere_else(init: Init, sandbox: LocalCrm) -> None:
    assert init(sandbox.url, "--regulation", "remote", "--yes").exit_code == 0
    config = load(Path("shop/config.toml"), {})
    assert tokens(config, {}).access_token() == TOKEN
    for path in Path("shop").rglob("*"):
        assert not path.is_file() or TOKEN.encode() not in path.read_bytes(), path
        assert path.parent.name != "data" or not path.stat().st_mode & 0o077, "nobody else's to read"


@pytest.fixture
def new_account(tmp_path: Path) -> Iterator[LocalCrm]:
    """As amoCRM makes it, with some people in it."""
    with crm_with(bare_account(SHIPPED["remote"]), tmp_path) as crm:
        yield crm


def test_a_person_is_asked_in_lists_and_what_is_lacking_is_created(init: Init, new_account: LocalCrm) -> None:
    typed = [
        "4",  # remote sales
        "",  # all parts
        "да",  # «Воронка» is meant by «Продажи»
        "Закупки",  # «Отдел заботы»: what is not on the list is asked again
        "нет такого",
        "нет",  # stages under other names: no
        "нет",  # fields
        "да",  # create all that
        "да",  # rehearse
    ]
    told = init(new_account.url, typed="\n".join([*typed, ""]))
    assert told.exit_code == 0, told.output
    assert "воронка «Продажи» → «Воронка»" in told.output
    assert "+ воронка «Отдел заботы»: Новый клиент, Пользуется услугой, Новая потребность" in told.output
    assert "+ этап «Воронка / Ждём оплату»" in told.output
    assert "Создано: 11" in told.output
    assert "Правил включено: 11" in told.output
    assert "Вопросов было 8, " in told.output, "as docs/start.md says"
    assert sorted(row["name"] for row in new_account.table("pipelines")) == ["Воронка", "Отдел заботы"]
    assert "Открытых сделок в аккаунте нет" in told.output
    assert "stage_creates_tasks.care_begins" in told.output, "the rehearsal shows what it does"
    text = Path("shop/config.toml").read_text("utf-8")
    assert 'stages = ["Воронка / Ждём оплату"]' in text
    assert check().exit_code == 0


def test_without_anybody_to_ask_nothing_doubtful_is_taken_and_nothing_created(
    init: Init, new_account: LocalCrm
) -> None:
    told = init(new_account.url, "--regulation", "remote", "--yes")
    assert told.exit_code == 0, told.output
    assert "Выключено: " in told.output
    assert {row["name"] for row in new_account.table("pipelines")} == {"Воронка"}
    text = Path("shop/config.toml").read_text("utf-8")
    assert 'off_reason = "в аккаунте нет: ' in text
    assert "[provision.pipelines]" in text
    checked = check()
    assert checked.exit_code == 0, checked.output


def test_rules_that_were_off_come_on_once_what_they_lacked_is_there(init: Init, sandbox: LocalCrm) -> None:
    """All but the one that needs what only people make: a task type."""
    assert init(sandbox.url, "--regulation", "remote", "--yes").exit_code == 0
    off = Path("shop/config.toml").read_text("utf-8")

    def provision(*arguments: str, typed: str = "") -> Result:
        told = ["provision", "--config", "shop/config.toml", *arguments]
        return CliRunner().invoke(main, told, input=typed, catch_exceptions=False)

    told = provision("--yes")
    assert "теперь всё есть:\n  • S4 stage_needs_fields.payment_day: " in told.output
    assert "stage_creates_tasks.invoice" not in told.output
    assert Path("shop/config.toml").read_text("utf-8") == off, "--yes is about creating"
    told = provision(typed="да\n")
    assert "Включить их? Будут работать: вхолостую (dry_run = true)" in told.output
    assert "Включено правил: " in told.output
    config = load(Path("shop/config.toml"), {})
    assert {rule.name for rule in config.rules if not rule.enabled} == {"stage_creates_tasks.invoice"}
    assert [rule.off_reason for rule in config.rules if rule.enabled and rule.off_reason] == []
    assert check().exit_code == 0
    assert "теперь всё есть" not in provision("--switch-on").output


def test_answers_are_given_in_a_file(init: Init, new_account: LocalCrm) -> None:
    names = '"воронка Отдел заботы" = ""\n"этап Продажи / Ждём оплату" = "Воронка / Переговоры"'
    Path("answers.toml").write_text(f'regulation = "remote"\nparts = ["Продажа"]\n[names]\n{names}\n', "utf-8")
    told = init(new_account.url, "--answers", "answers.toml", "--yes")
    assert told.exit_code == 0, told.output
    text = Path("shop/config.toml").read_text("utf-8")
    assert 'stages = ["Воронка / Переговоры"]' in text
    assert "# --- Отдел заботы" not in text


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ('regulation = "remote"\n[names]\n"этап Нет / Такого" = "x"\n', 2, "в регламенте нет «этап Нет / Такого»"),
        ('regulation = "remote"\n[names]\n"воронка Отдел заботы" = "Закупки"\n', 2, "«Закупки» нет в списке; есть:"),
        ('regulation = "opera"\n', 2, "регламента «opera» нет; есть: agency"),
        ('reglament = "remote"\n', 2, "такого ключа нет: reglament"),
        ("regulation = remote\n", 1, "не TOML"),
        ("address = 5\n", 2, "address — текст"),
        ('regulation = "remote"\nparts = "Продажа"\n', 2, "parts — список"),
        ('regulation = "remote"\ncreate = "нет"\n', 2, "create — true или false"),
        ('regulation = "remote"\nnames = "x"\n', 2, "names — раздел"),
        ('regulation = "remote"\n[names]\n"поле Потребность" = 5\n', 2, "names — раздел"),
        (
            'regulation = "remote"\n[names]\n"воронка Продажи" = ""\n"этап Продажи / Ждём оплату" = "Переговоры"\n',
            2,
            "«этап Продажи / Ждём оплату»: выбирать не из чего",
        ),
    ],
)
def test_answers_that_do_not_fit_are_refused(
    init: Init, new_account: LocalCrm, text: str, code: int, words: str
) -> None:
    Path("answers.toml").write_text(text, "utf-8")
    told = init(new_account.url, "--answers", "answers.toml", "--yes")
    assert (told.exit_code, Path("shop").exists()) == (code, False)
    assert words in told.output


def test_an_answer_counts_though_the_account_has_that_very_name(init: Init) -> None:
    names = '"этап Продажи / Ждём оплату" = "Продажи / Новый лид"\n"воронка Отдел заботы" = ""'
    Path("answers.toml").write_text(f'regulation = "remote"\ncreate = true\n[names]\n{names}\n', "utf-8")
    with served(load_world(SHIPPED["remote"])) as crm:
        told = init(crm.url, "--answers", "answers.toml", "--yes")
    assert told.exit_code == 0, told.output
    text = Path("shop/config.toml").read_text("utf-8")
    assert "Ждём оплату" not in text
    assert 'off_reason = "в аккаунте нет: воронка «Отдел заботы»"' in text


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_what_the_environment_says_of_the_data_folder_counts(
    init: Init, sandbox: LocalCrm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container: the token is kept where the bridge will look for it."""
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "elsewhere"))
    assert init(sandbox.url, "--regulation", "remote", "--yes").exit_code == 0
    assert not Path("shop/data").exists()
    environment = {"AMO_BRIDGE_DATA": str(tmp_path / "elsewhere")}
    assert tokens(load(Path("shop/config.toml"), environment), {}).access_token() == TOKEN


def test_a_config_that_is_there_is_never_lost(init: Init, sandbox: LocalCrm) -> None:
    Path("shop").mkdir()
    there = Path("shop/config.toml")
    there.write_text("# своё\n", "utf-8")
    told = init(sandbox.url, "--regulation", "remote", "--yes")
    assert (told.exit_code, there.read_text("utf-8")) == (1, "# своё\n")
    assert "shop/config.toml уже есть" in told.output
    told = init(sandbox.url, "--regulation", "remote", "--yes", "--force")
    assert told.exit_code == 0, told.output
    (kept,) = Path("shop/data/config-backups").glob("*.toml")
    assert kept.read_text("utf-8") == "# своё\n"
    assert "stage_needs_fields" in there.read_text("utf-8")


def test_files_that_are_there_stay(init: Init) -> None:
    Path("shop/smm/scripts").mkdir(parents=True)
    own = Path("shop/smm/scripts/renewal.txt")
    own.write_text("Своё", "utf-8")
    with served(load_world(SHIPPED["smm"])) as crm:
        assert init(crm.url, "--regulation", "smm", "--yes").exit_code == 0
    assert own.read_text("utf-8") == "Своё"
    assert Path("shop/smm/letters/счёт.docx").is_file()


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("unpaid_402", "тариф не даёт доступа к API"),
        ("blocked_page", "вместо API пришла страница"),
        ("html_403", "вместо API пришла страница"),
    ],
)
def test_amocrm_does_not_let_us_in(init: Init, sandbox: LocalCrm, fault: str, words: str) -> None:
    sandbox.fault(fault)
    told = init(sandbox.url, "--regulation", "remote", "--yes")
    assert (told.exit_code, Path("shop").exists()) == (1, False)
    assert words in told.output


def test_a_wrong_token_no_network_and_what_is_no_address(init: Init, sandbox: LocalCrm) -> None:
    Path("wrong").write_text("чужой".encode().hex(), "utf-8")
    assert "токен не подошёл" in init(sandbox.url, "--yes", token="wrong").output
    Path("empty").write_text("", "utf-8")
    assert "файл с токеном empty пуст" in init(sandbox.url, "--yes", token="empty").output
    assert "файл с токеном nowhere не читается" in init(sandbox.url, "--yes", token="nowhere").output
    assert "не достучаться: проверьте адрес и сеть" in init("http://127.0.0.1:1", "--yes").output
    assert "не адрес аккаунта" in init("https://a b", "--yes").output


def test_what_answers_like_amocrm_and_is_none_is_refused(init: Init) -> None:
    world = load_world(SHIPPED["remote"])
    world.account["id"] = None
    with served(world) as crm:
        told = init(crm.url, "--regulation", "empty", "--yes")
    assert (told.exit_code, Path("shop").exists()) == (1, False)
    assert "это не amoCRM: в ответе нет номера аккаунта" in told.output


@pytest.mark.parametrize(
    ("told", "full"),
    [
        ("shop", "https://shop.amocrm.ru"),
        (" shop.kommo.com/leads/ ", "https://shop.kommo.com"),
        ("http://Shop.amocrm.ru/leads/detail/1", "https://Shop.amocrm.ru"),
        ("https://shop.amocrm.ru/", "https://shop.amocrm.ru"),
        ("http://127.0.0.1:8090", "http://127.0.0.1:8090"),
        ("http://sandbox:8090/x", "http://sandbox:8090"),
        ("", ""),
    ],
)
def test_an_address_is_taken_as_people_type_it(told: str, full: str) -> None:
    """amoCRM's own always by https: the token goes there."""
    assert full_address(told) == full


def test_a_folder_that_takes_no_config_is_told_before_anybody_is_asked(init: Init, sandbox: LocalCrm) -> None:
    Path("shop").write_text("", "utf-8")
    for folder, words in (("shop", "shop — файл, а нужна папка"), ("shop/inner", "в папку shop/inner не записать")):
        told = CliRunner().invoke(main, ["init", folder, "--address", sandbox.url], catch_exceptions=False)
        assert (told.exit_code, words in told.output) == (1, True), told.output
    assert sandbox.requests() == {}


def test_a_variable_that_names_another_account_is_told(
    init: Init, sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", "https://other.amocrm.ru")
    told = init(sandbox.url, "--regulation", "remote", "--yes")
    assert told.exit_code == 1
    assert "AMO_BRIDGE_ACCOUNT_URL называет другой аккаунт (https://other.amocrm.ru)" in told.output


def test_a_variable_that_holds_another_token_is_told(
    init: Init, sandbox: LocalCrm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bridge would go on by that one."""
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", "another")
    told = init(sandbox.url, "--regulation", "remote", "--yes")
    assert (told.exit_code, Path("shop").exists()) == (1, False)
    assert "AMO_BRIDGE_TOKEN_FILE) хранит другой токен" in told.output


def test_without_questions_everything_must_be_said(sandbox: LocalCrm, tmp_path: Path) -> None:
    for arguments, key in (
        ((), "--address"),
        (("--address", sandbox.url), "--token-file"),
    ):
        told = CliRunner().invoke(main, ["init", str(tmp_path / "shop"), *arguments, "--yes"])
        assert (told.exit_code, "нужен ключ " + key in told.output) == (2, True), told.output


@pytest.mark.parametrize("typed", ["", "4\n", "4\n\n", "4\n\nда\nнет такого\n", "4\n\nда\nнет такого\nнет\nнет\n"])
def test_who_stops_in_the_middle_has_written_nothing(init: Init, new_account: LocalCrm, typed: str) -> None:
    """At a list and at a yes or no."""
    told = init(new_account.url, typed=typed)
    assert told.exit_code == 1
    assert told.output.endswith("Ничего не записано. Отвечать некому: ответы дают --answers и --yes (docs/start.md)\n")
    assert not Path("shop").exists()


def test_who_stops_at_the_rehearsal_has_the_config(init: Init, sandbox: LocalCrm) -> None:
    told = init(sandbox.url, "--part", "Воронка «Продажи»", typed="1\n")
    assert told.exit_code == 0, told.output
    assert "amo-bridge serve" in told.output
    assert check().exit_code == 0


def test_what_broke_off_while_creating_is_created_once(init: Init, new_account: LocalCrm) -> None:
    arguments = ("--regulation", "remote", "--yes", "--create")
    new_account.fault("lost_answer", path="/api/v4/leads/pipelines", method="POST")
    told = init(new_account.url, *arguments)
    assert (told.exit_code, Path("shop").exists()) == (1, False), told.output
    assert "В аккаунте созданное осталось: начните снова" in told.output
    new_account.good_weather()
    assert init(new_account.url, *arguments).exit_code == 0
    assert sorted(row["name"] for row in new_account.table("pipelines")) == ["Воронка", "Отдел заботы"]


def test_the_token_of_the_environment_is_used_and_not_kept(
    sandbox: LocalCrm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_TOKEN", TOKEN)
    monkeypatch.delenv("AMO_BRIDGE_DATA")
    arguments = ["init", str(tmp_path / "shop"), "--address", sandbox.url, "--regulation", "empty", "--yes"]
    told = CliRunner().invoke(main, arguments, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    assert "эта переменная нужна мосту и дальше" in told.output
    assert not any(name.startswith("small-state") for name in os.listdir(tmp_path / "shop" / "data"))


def test_an_account_is_connected_by_a_code(sandbox: LocalCrm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AMO_BRIDGE_DATA")
    (client,) = sandbox.table("oauth_clients")
    consent = f"{sandbox.url}/oauth?client_id={client['client_id']}&auto=1"
    back = requests.get(consent, allow_redirects=False, timeout=30).headers["Location"]
    (code,) = parse_qs(urlsplit(back).query)["code"]
    monkeypatch.setenv("AMO_BRIDGE_REDIRECT_URI", client["redirect_uri"])
    arguments = ["init", str(tmp_path / "shop"), "--address", sandbox.url, "--code", code, "--regulation", "empty"]
    typed = f"{client['client_id']}\n{client['client_secret']}\n"
    told = CliRunner().invoke(main, arguments, input=typed, catch_exceptions=False)
    assert told.exit_code == 0, told.output
    config = load(tmp_path / "shop" / "config.toml", {})
    assert tokens(config, {"AMO_BRIDGE_REDIRECT_URI": client["redirect_uri"]}).access_token()
