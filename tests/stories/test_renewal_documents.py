"""A client who stays gets his invoice as a document, by examples/smm.toml: it is made once, goes along with the letter
and lies among the deal's files; what is missing for it is told (M13)."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from email.message import EmailMessage
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from docx import Document
from sqlalchemy import select
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office
from support.running_bridge import UNHURRIED, RunningBridge, wait_until
from support.shipped_examples import EXAMPLES, stopped_at

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_file import SMM
from amo_bridge.storage.tables import outbox
from tests.cli.test_check_examples import with_mail
from tests.stories.test_smm import ALINA, MONDAY, NOTIFIED, RENEWAL, Agency, launched


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The SMM agency's amoCRM."""
    with stopped_at(MONDAY, SMM) as crm:
        yield crm


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def config(sandbox: LocalCrm, tmp_path: Path, post: Post) -> Config:
    """The shipped example, its mail switched on as its comments show."""
    shutil.copytree(EXAMPLES / "smm", tmp_path / "smm")
    text = with_mail((EXAMPLES / "smm.toml").read_text("utf-8")).replace(
        "port = 1\n", f'port = {post.port}\ntls = "none"\n'
    )
    (tmp_path / "config.toml").write_text(text, "utf-8")
    where = {"AMO_BRIDGE_ACCOUNT_URL": sandbox.url, "AMO_BRIDGE_DATA": str(tmp_path / "data")}
    config = load(tmp_path / "config.toml", where)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


@pytest.fixture
def agency(office: CrmUser, config: Config, sandbox: LocalCrm, start_bridge: Callable[..., RunningBridge]) -> Agency:
    return Agency(office, start_bridge(config).wait_ready(), sandbox)


def files_of(agency: Agency, deal: int) -> list[dict[str, Any]]:
    answer = agency.office._ask("GET", f"/api/v4/leads/{deal}/files") or {"_embedded": {"files": []}}
    return list(answer["_embedded"]["files"])


def documents_in(letter: EmailMessage) -> dict[str, str]:
    found = {}
    for part in letter.iter_attachments():
        document = Document(BytesIO(part.get_payload(decode=True)))  # type: ignore[arg-type]
        cells = [cell.text for table in document.tables for row in table.rows for cell in row.cells]
        found[str(part.get_filename())] = "\n".join([*(one.text for one in document.paragraphs), *cells])
    return found


def refused(agency: Agency) -> list[str]:
    """Why letters were given up."""
    with agency.bridge.bridge.resources.store.read() as connection:
        given_up = select(outbox.c.error).where(outbox.c.state == "failed", outbox.c.kind == "send_letter")
        return list(connection.execute(given_up).scalars())


def renews(agency: Agency, deal: int) -> None:
    agency.comes("2026-11-02T10:00")
    agency.recorded_call(deal)
    agency.finish(deal, RENEWAL, "Остаётся")
    assert agency.office.stage_of(deal) == NOTIFIED


def test_a_company_gets_its_invoice_once(agency: Agency, post: Post) -> None:
    deal = launched(agency, Тип_клиента="Юридическое лицо")
    (company,) = agency.office._ask("POST", "/api/v4/companies", [{"name": "ТОО «Айгуль»"}], ALINA)["_embedded"][
        "companies"
    ]
    tie = [{"to_entity_id": company["id"], "to_entity_type": "companies"}]
    agency.office._ask("POST", f"/api/v4/leads/{deal}/link", tie, ALINA)
    agency.crm.fault("hook_duplicate", count=None)
    before = len(post.letters)
    renews(agency, deal)
    wait_until(lambda: len(post.letters) > before, "the letter has arrived")
    agency.passes()
    ((name, text),) = documents_in(post.letters[-1]).items()
    assert name == "Счёт на оплату.docx"
    for words in (f"Счёт на оплату № {deal}-1", "ТОО «Айгуль»", "ТОО «Витрина»", "150\u00a0000,00",
                  "Сто пятьдесят тысяч тенге 00 тиынов"):  # fmt: skip
        assert words in text
    wait_until(lambda: len(files_of(agency, deal)) == 1, "it lies on the card")
    agency.passes(3600)
    assert (len(post.letters) - before, len(files_of(agency, deal))) == (1, 1)


def test_without_a_company_nothing_leaves_and_it_is_told(agency: Agency, post: Post) -> None:
    deal = launched(agency, Тип_клиента="Юридическое лицо")
    before = len(post.letters)
    renews(agency, deal)
    wait_until(lambda: refused(agency), "it is told that a letter could not go")
    assert "не заполнено: компания, «название»" in refused(agency)[0]
    assert (len(post.letters), files_of(agency, deal)) == (before, [])


def test_a_person_gets_the_requisites(agency: Agency, post: Post) -> None:
    deal = launched(agency)
    before = len(post.letters)
    renews(agency, deal)
    wait_until(lambda: len(post.letters) > before, "the letter has arrived")
    ((name, text),) = documents_in(post.letters[-1]).items()
    assert (name, "KZ00BANK0000000000000000" in text) == ("Реквизиты для оплаты.docx", True)
