"""What people do in amoCRM stands in their figures: talks, new clients, sales, when they began (S1, S9); once, though
every webhook comes twice."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from support.local_crm import LocalCrm
from support.running_bridge import ENVIRONMENT, EXAMPLE, RunningBridge, config_for, wait_until
from support.shipped_examples import stopped_at

from amo_bridge.cli import main
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.reports.kpi import Figures, per_day, summed
from amo_bridge.sandbox.account_file import AGENCY

IVAN, MARIA, HEAD = "Иван Петров", "Мария Кузнецова", "Елена Орлова"


def figures(bridge: RunningBridge, office: CrmUser, who: str) -> Figures:
    """Of this day and the next one: a test may stand at midnight."""
    account = bridge.app.extensions["amo_bridge"].account_at(None)
    now = office.now()
    midnight = now.astimezone(account.zone).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    midnights = {(midnight + timedelta(days=n)).date(): midnight + timedelta(days=n) for n in range(2)}
    own = account.crm_account.current_user_id
    found = per_day(account.account_store, midnights, midnight + timedelta(days=2), own_user_id=own, talk_seconds=30)
    return summed(found.values()).get(office.users[who], Figures())


def test_a_day_of_two_people(bridge: RunningBridge, office: CrmUser, sandbox: LocalCrm) -> None:
    office.every_hook_twice()
    deals = {}
    for who, name in ((IVAN, "Ромашка"), (IVAN, "Лютик"), (MARIA, "Василёк")):
        deals[name] = office.new_deal(who, name, "Продажи / Новый клиент", office.new_contact(who, name), 5000)
        sandbox.later()
    began = office.now()
    office.call(IVAN, deals["Ромашка"], seconds=95)
    sandbox.later()
    office.call(IVAN, deals["Лютик"], seconds=0)
    sandbox.later()
    # Not a new client any more: Ivan has talked with him.
    office.call(MARIA, deals["Ромашка"], seconds=40)
    bridge.settle(sandbox)
    wait_until(lambda: figures(bridge, office, MARIA).talks == 1, "what was done is known")
    ivan, maria = figures(bridge, office, IVAN), figures(bridge, office, MARIA)
    assert (ivan.contacts, ivan.worked, ivan.talks, ivan.unanswered) == (1, 2, 1, 1)
    assert (maria.contacts, maria.worked, maria.talks, maria.sales) == (0, 1, 1, 0)
    assert ivan.first_at is not None
    assert abs(ivan.first_at - began) <= timedelta(seconds=2)

    # A deal that is put back was not sold; one that may be won is, by whoever it is his now.
    sold = office.new_deal(MARIA, "Пион", "Продажи / Утвержденный проект", office.new_contact(MARIA, "Пион"), 5000)
    for requisites in ("Реквизиты клиента", "Реквизиты подрядчика"):
        office.fill(MARIA, sold, requisites, "ИНН 7700000000")
    sandbox.later()
    for deal in (deals["Ромашка"], sold):
        office.move(HEAD, deal, "Продажи / Успешно реализовано")
    bridge.settle(sandbox)
    wait_until(lambda: figures(bridge, office, MARIA).sales == 1, "the sale counts for whose deal it is")
    assert (figures(bridge, office, MARIA).amount, figures(bridge, office, IVAN).sales) == (5000, 0)


def test_a_month_before_the_bridge_is_read_from_amocrms_events(
    tmp_path: Path, start_bridge: Callable[..., RunningBridge], monkeypatch: pytest.MonkeyPatch
) -> None:
    with stopped_at("2026-08-10T12:00", AGENCY) as crm:
        office = CrmUser(crm.url)
        deal = office.new_deal(IVAN, "Ромашка", "Продажи / Новый клиент", office.new_contact(IVAN, "Анна"), 5000)
        for seconds in (95, 40, 0):
            office.call(IVAN, deal, seconds=seconds)
            crm.later()
        crm.control("POST", "clock", {"set": "2026-10-20T12:00"})
        # The bridge begins with the newest event.
        office.move(IVAN, deal, "Продажи / Утвержденный проект")
        crm.later()
        bridge = start_bridge(config_for(crm.url, tmp_path / "data")).wait_ready()
        bridge.settle(crm)
        bridge.stop()
        for name, value in {**ENVIRONMENT, "AMO_BRIDGE_ACCOUNT_URL": crm.url}.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AMO_BRIDGE_DATA", str(tmp_path / "data"))

        def run(*words: str) -> str:
            told = CliRunner().invoke(main, ["kpi", *words, "2026-08", "--config", str(EXAMPLE)])
            assert told.exit_code == 0, told.output
            return str(told.output)

        assert IVAN not in run("show")
        crm.forget_requests()
        for _ in range(2):
            assert "KPI за 2026-08 теперь считается по ним" in run("rebuild")
        assert sum(crm.requests().values()) <= 6, "a page of events and its notes"
        run("show", "--csv", str(tmp_path / "kpi.csv"))
        text = (tmp_path / "kpi.csv").read_text("utf-8-sig")
        assert f"{IVAN};1;1;2;1;0;0;0;0" in text
        of_maria = tmp_path / "of_maria.toml"
        of_maria.write_text(f'{EXAMPLE.read_text("utf-8")}\n[kpi]\npeople = ["{MARIA}"]\n', "utf-8")
        told = CliRunner().invoke(main, ["kpi", "show", "2026-08", "--config", str(of_maria)])
        assert (MARIA in told.output, IVAN in told.output) == (True, False), "as the page shows it"
        with monkeypatch.context() as without:
            without.delenv("AMO_BRIDGE_TOKEN")
            told = CliRunner().invoke(main, ["kpi", "rebuild", "2026-08", "--config", str(EXAMPLE)])
        assert (told.exit_code, "Нет токена amoCRM" in told.output) == (2, True)
        crm.fault("status", status=503)
        told = CliRunner().invoke(main, ["kpi", "rebuild", "2026-08", "--config", str(EXAMPLE)])
        assert told.exit_code == 4
        assert "что успели прочесть, сохранено" in told.output


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["show", "2999-01"], "2999-01 ещё не наступил"),
        (["rebuild", "2026-08", "--csv", "x.csv"], "--csv нужен для show"),
        (["show", "август"], "не месяц"),
    ],
)
def test_what_can_not_be_shown_is_said(
    bridge: RunningBridge, config: Config, monkeypatch: pytest.MonkeyPatch, words: list[str], told: str
) -> None:
    monkeypatch.setenv("AMO_BRIDGE_ACCOUNT_URL", config.account.url)
    monkeypatch.setenv("AMO_BRIDGE_DATA", str(config.data_folder))
    answer = CliRunner().invoke(main, ["kpi", *words, "--config", str(EXAMPLE)])
    assert answer.exit_code == 2
    assert told in answer.output
