"""Documents in letters: filled from the deal, the client and his company, once for a stage, put on the deal's card."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from docx import Document
from support.letter_office import LetterOffice
from support.local_crm import LocalCrm
from support.mail_server import Post, post_office

from amo_bridge.channels.documents import file_name
from amo_bridge.crm.account import Account
from amo_bridge.crm.files import file_ids_of_deal
from amo_bridge.engine.rule_engine import RuleEngine
from amo_bridge.storage.database import Store
from tests.text.test_documents import text_of

INVOICE = {"document": "счёт", "named": "Счёт Ромашка"}
ENTRY = "1:2:1764072000"
LINES = (
    "Счёт № {{ документ.номер }} от {{ документ.дата }}",
    '{{ компания.название }}, ИНН {{ компания.поле["ИНН"] }}',
    "{{ клиент.полное_имя }}, {{ клиент.почта }}, {{ клиент.телефон }}",
    "{{ сделка.название }}: {{ сделка.бюджет | деньги }}",
)


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


class InvoiceOffice(LetterOffice):
    """The deal has a company, and the account has a field for its number."""

    def __init__(self, store: Store, crm: LocalCrm, post: Post, folder: Path) -> None:
        super().__init__(store, crm, post, folder)
        (field,) = self.ask("POST", "/api/v4/companies/custom_fields", [{"name": "ИНН", "type": "text"}])[
            "custom_fields"
        ]
        self.number_field = int(field["id"])
        (company,) = self.ask("POST", "/api/v4/companies", [{"name": "ООО «Ромашка»"}])["companies"]
        self.company = int(company["id"])
        self.ask(
            "POST", f"/api/v4/leads/{self.deal}/link", [{"to_entity_id": self.company, "to_entity_type": "companies"}]
        )
        self._engine = RuleEngine.of(self._engine.config, Account.read(self.client), self.hands)
        self.template(*LINES)

    def ask(self, method: str, path: str, body: Any) -> dict[str, Any]:
        headers = {"Authorization": "Bearer sandbox-token"}
        answer = requests.request(method, f"{self.crm.url}{path}", json=body, headers=headers, timeout=30)
        answer.raise_for_status()
        return dict(answer.json()["_embedded"]) if answer.content else {}

    def tie(self, how: str) -> None:
        """«link», «unlink»: deal and company."""
        company = {"to_entity_id": self.company, "to_entity_type": "companies"}
        self.ask("POST", f"/api/v4/leads/{self.deal}/{how}", [company])

    def template(self, *lines: str) -> None:
        document = Document()
        for line in lines:
            document.add_paragraph(line)
        document.save(str(self.folder / "счёт.docx"))

    def fill_number(self, number: str = "7701234567") -> None:
        values = [{"field_id": self.number_field, "values": [{"value": number}]}]
        self.ask("PATCH", "/api/v4/companies", [{"id": self.company, "custom_fields_values": values}])

    def invoice(self, entry: str = ENTRY, **more: Any) -> None:
        self.send(INVOICE, entry=entry, **more)

    def put_on_the_card(self) -> list[str]:
        """As the writer into amoCRM does; the uuids that lie there then."""
        for body in self.bodies("attach_files"):
            rows = [{"file_uuid": uuid} for uuid in body["file_uuids"]]
            headers = {"Authorization": "Bearer sandbox-token"}
            url = f"{self.crm.url}/api/v4/leads/{body['entity_id']}/files"
            requests.put(url, json=rows, headers=headers, timeout=30).raise_for_status()
        return file_ids_of_deal(self.client, self.deal)


@pytest.fixture
def office(store: Store, sandbox: LocalCrm, post: Post, tmp_path: Path) -> InvoiceOffice:
    return InvoiceOffice(store, sandbox, post, tmp_path)


def test_an_invoice_goes_along_and_lies_on_the_deal(office: InvoiceOffice) -> None:
    office.fill_number()
    office.invoice()
    ((name, content),) = office.files().items()
    assert name == "Счёт Ромашка.docx"
    today = f"{office.hands.now() + timedelta(hours=3):%d.%m.%Y}"
    assert text_of(content).split("\n") == [
        f"Счёт № {office.deal}-1 от {today}",
        "ООО «Ромашка», ИНН 7701234567",
        "Ольга Смирнова, olga@client.example, +79161234567",
        "Ромашка: 50\u00a0000,00",
    ]
    (body,) = office.bodies("attach_files")
    assert office.put_on_the_card() == body["file_uuids"]
    assert body["entity_id"] == office.deal


def test_what_is_missing_is_told_and_nothing_leaves(office: InvoiceOffice) -> None:
    office.invoice()
    ((state, why),) = office.letters()
    assert (state, office.post.taken, office.bodies("attach_files")) == ("failed", [], [])
    assert "не заполнено: компания, «ИНН»" in why
    assert "повторите письмо" in why


def test_without_a_company_it_is_told_too(office: InvoiceOffice) -> None:
    office.ask(
        "POST", f"/api/v4/leads/{office.deal}/unlink", [{"to_entity_id": office.company, "to_entity_type": "companies"}]
    )
    office.invoice()
    assert "не заполнено: компания, «название»; не заполнено: компания, «ИНН»" in office.letters()[0][1]


def test_it_is_the_same_one_for_the_same_stage_and_a_new_one_for_the_next(office: InvoiceOffice) -> None:
    office.fill_number()
    office.invoice()
    first = office.files()["Счёт Ромашка.docx"]
    # What the card says now is another matter: the client has this one.
    office.fill_number("0000000000")
    office.put_on_the_card()
    office.invoice()
    assert office.files()["Счёт Ромашка.docx"] == first
    assert len(office.bodies("attach_files")) == 1
    office.invoice(entry="1:2:1769342400")
    second = text_of(office.files()["Счёт Ромашка.docx"])
    assert f"№ {office.deal}-2" in second
    assert "ИНН 0000000000" in second
    assert len(office.bodies("attach_files")) == 2


def test_a_deleted_one_is_made_anew_under_its_number(office: InvoiceOffice) -> None:
    office.fill_number("1111111111")
    office.invoice()
    (uuid,) = office.put_on_the_card()
    drive = office.engine().account.drive_url
    requests.delete(
        f"{drive}/v1.0/files", json=[{"uuid": uuid}], headers={"Authorization": "Bearer sandbox-token"}, timeout=30
    ).raise_for_status()
    office.fill_number()
    office.invoice()
    told = text_of(office.files()["Счёт Ромашка.docx"])
    assert f"№ {office.deal}-1" in told
    assert "7701234567" in told


def test_a_letter_whose_answer_was_lost_has_one_document(office: InvoiceOffice) -> None:
    office.fill_number()
    office.post.data = ["451 позже"]
    office.invoice()
    assert office.letters()[0][0] == "ready"
    office.round(minutes=30)
    assert (office.letters()[0][0], len(office.post.taken)) == ("done", 1)
    assert len(office.bodies("attach_files")) == 1


def test_while_amocrm_takes_no_file_the_letter_waits(office: InvoiceOffice) -> None:
    office.fill_number()
    office.crm.fault("status", status=503, path="*/sessions", count=None)
    office.invoice()
    ((state, why),) = office.letters()
    assert (state, office.post.taken, office.bodies("attach_files")) == ("ready", [], [])
    assert "документ «счёт»: amoCRM пока не отвечает" in why
    office.crm.good_weather()
    office.round(minutes=30)
    assert office.letters()[0][0] == "done"


def test_without_a_template_it_is_told_which_file_is_wanted(office: InvoiceOffice) -> None:
    office.send({"document": "акт", "named": ""}, entry=ENTRY)
    assert "шаблона документа «акт» нет: нужен файл" in office.letters()[0][1]


def test_what_else_is_missing_is_told_before_a_document_is_made(office: InvoiceOffice) -> None:
    office.fill_number()
    office.send(INVOICE, {"deal_file": ["Договор"]}, entry=ENTRY)
    assert "«Договор …» на сделке нет" in office.letters()[0][1]
    assert office.bodies("attach_files") == []


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Счёт № 5/11: «Ромашка»", "Счёт № 5 11 «Ромашка».docx"),
        ("Счёт.docx", "Счёт.docx"),
        ("..", "документ.docx"),
        ("я" * 300, f"{'я' * 120}.docx"),
    ],
)
def test_a_name_is_one_for_every_disk(text: str, name: str) -> None:
    assert file_name(text) == name


def test_the_manager_and_the_agency_are_known(office: InvoiceOffice) -> None:
    office.template("{{ менеджер.имя }} {{ агентство.БИК }}")
    office.invoice()
    assert "агентство ([mail] agency): «БИК» ничего не значит" in office.letters()[0][1]
