"""Several accounts in one installation: the pages of each under its own prefix, one set of users for all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from pages_kit import NOWHERE, Pages, Visit, words_of
from running_bridge import ENVIRONMENT, config_for

from amo_bridge.engine.bridge import Bridge
from amo_bridge.web.admission.roles import Role


@pytest.fixture
def several(tmp_path: Path) -> Iterator[Pages]:
    """«agency» and «школа» work, the config of «third» is broken."""
    bridges = {
        name: Bridge(config_for(url, tmp_path / "data"), ENVIRONMENT, NOWHERE)
        for name, url in (("agency", NOWHERE), ("школа", "http://127.0.0.1:10"))
    }
    broken = {"third": ["config.toml, строка 3: лишнее"]}
    made = Pages(bridges["agency"], SimpleNamespace(by_name=lambda: bridges, broken=lambda: broken))
    yield made
    for bridge in bridges.values():
        bridge.stop()


@pytest.fixture
def visit(several: Pages) -> Visit:
    return several.visit(Role.ADMIN, "Анна")


def test_without_a_name_one_is_asked_which_account_is_meant(visit: Visit) -> None:
    answer = visit.get("/deals/7")
    assert answer.status_code == 200
    assert "Какой аккаунт?" in words_of(answer)
    assert 'href="/accounts/agency/deals/7"' in answer.text
    assert 'href="/accounts/%D1%88%D0%BA%D0%BE%D0%BB%D0%B0/deals/7"' in answer.text


def test_every_link_of_a_page_stays_within_its_account(visit: Visit) -> None:
    page = visit.get("/accounts/школа/")
    assert page.status_code == 200
    assert 'href="/accounts/школа/" aria-current="page"' in page.text
    assert 'action="/accounts/школа/deals/"' in page.text
    assert 'href="/accounts/agency/"' in page.text, "and one leads to the other account"


def test_the_log_in_leads_back_into_the_account(several: Pages) -> None:
    where = several.stranger().get("/accounts/agency/deals/7").location
    assert where == "/accounts/agency/login?next=/deals/7"


@pytest.mark.parametrize("name", ["nobody", "..", "%2e%2e", "third"])
def test_there_are_no_other_accounts(visit: Visit, name: str) -> None:
    answer = visit.get(f"/accounts/{name}/deals/7")
    assert answer.status_code == 404
