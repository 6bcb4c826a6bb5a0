"""Several accounts in one installation: the pages of each under its own prefix, one set of users for all."""

from __future__ import annotations

import pytest
from support.pages import Pages, Visit, words_of

from amo_bridge.web.auth.users import Role


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
