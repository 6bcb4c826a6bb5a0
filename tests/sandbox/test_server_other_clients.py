"""Two more clients that nobody of this project wrote, amocrm-api and py-amo-client, work with the sandbox.

Both only know ``https://<subdomain>.amocrm.ru``: their requests are turned to the served sandbox below their sessions.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import amocrm.v2.account as amocrm_account
import pytest
import requests
from amocrm.v2 import Call, Company, Contact, Event, Lead, Pipeline, Tag, Task, User, custom_field, filters
from amocrm.v2 import exceptions as amocrm_errors
from amocrm.v2.entity.customer import Customer
from amocrm.v2.entity.list import List
from amocrm.v2.interaction import BaseInteraction
from amocrm.v2.tokens import MemoryTokensStorage, default_token_manager
from py_amo.schemas import LeadSchema
from py_amo.services.amo_session import AmoSession
from support.sandbox_account import TOKEN

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.server import serving

HOST = "https://agency.amocrm.ru"
CLIENT_ID = "2f6b1c0e-7d43-4f7a-9a51-5b0f3d6e8c11"


class OurLead(Lead):
    payment = custom_field.SelectCustomField("Тип оплаты")
    brand = custom_field.TextCustomField("Клиент (бренд)")
    deadline = custom_field.DateCustomField("Дата дедлайна")
    papers = custom_field.CheckboxCustomField("Закрывающие документы получены")


class OurContact(Contact):
    phone = custom_field.ContactPhoneField("Телефон")
    email = custom_field.ContactEmailField("Email")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A served sandbox that the clients take for amoCRM."""
    world = load_world()
    send = requests.Session.send
    with serving(world) as served:

        def turned(session: requests.Session, request: requests.PreparedRequest, **options: Any) -> requests.Response:
            request.url = str(request.url).replace(HOST, served, 1)
            return send(session, request, **options)

        monkeypatch.setattr(requests.Session, "send", turned)
        requests.post(f"{served}/sandbox/limits", json={"enabled": False}, timeout=20)
        yield served
    world.close()


@pytest.fixture
def amocrm_api(url: str) -> None:
    """amocrm-api logged in with a code that somebody's click gave it."""
    page = requests.get(f"{url}/oauth?client_id={CLIENT_ID}&auto=1", allow_redirects=False, timeout=20)
    (code,) = parse_qs(urlsplit(page.headers["Location"]).query)["code"]
    clients = requests.get(f"{url}/sandbox/state?kind=oauth_clients", timeout=20).json()["tables"]["oauth_clients"]
    default_token_manager._storage = None
    default_token_manager(
        client_id=CLIENT_ID,
        client_secret=clients[CLIENT_ID]["client_secret"],
        subdomain="agency",
        redirect_url=clients[CLIENT_ID]["redirect_uri"],
        storage=MemoryTokensStorage(),
    )
    default_token_manager.init(code)


# --- amocrm-api ------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("amocrm_api")
def test_amocrm_api_reads_the_account() -> None:
    asked = ["version", "task_types", "users_groups", "datetime_settings", "entity_names"]
    account = amocrm_account.Account(data=BaseInteraction().request("get", "account", include=asked)[0])
    assert (account.name, account.subdomain, account.country) == ("Агентство", "agency", "RU")
    assert account.created_at.date() == datetime.now(UTC).date()
    assert account.created_by.is_admin
    assert [kind["id"] for kind in account.task_types][:2] == [1, 2]
    assert account.datetime_settings["timezone"] == "Europe/Moscow"
    assert account.entity_names["leads"]["en"]["singular_form"]["default"] == "lead"
    assert len(list(User.objects.all())) == 8
    assert [pipeline.is_main for pipeline in Pipeline.objects.all()].count(True) == 1


@pytest.mark.usefixtures("amocrm_api")
def test_amocrm_api_writes_a_deal_and_reads_it() -> None:
    made = OurLead(name="Акция", price=10, brand="Ромашка", payment="Предоплата").save()
    lead = OurLead.objects.get(made.id)
    assert (lead.name, lead.price, lead.brand, lead.payment.value) == ("Акция", 10, "Ромашка", "Предоплата")
    assert (lead.pipeline.name, lead.status.name) == ("Продажи", "Новый клиент")

    lead.price, lead.papers = 77, True
    lead.deadline = datetime(2026, 5, 5, 12, tzinfo=UTC)  # it sends 1777982400.0
    lead.tags.add("срочно")
    lead.save()
    again = OurLead.objects.get(made.id)
    # Its own reading of a date depends on the computer's zone.
    assert (again.price, again.papers, abs(again.deadline - date(2026, 5, 5)) <= timedelta(days=1)) == (77, True, True)
    assert [tag.name for tag in again.tags] == ["срочно"]
    assert [tag.name for tag in Tag.leads.all()] == ["срочно"]

    by_id = OurLead.objects.filter(filters=(filters.SingleFilter("id")(made.id),))
    stage = filters.FiltersByPipelineAndStatus("statuses")(lead.pipeline.id, lead.status.id)
    assert [found.id for found in by_id] == [made.id]
    assert [found.id for found in OurLead.objects.filter(filters=(stage,))] == [made.id]
    assert [found.id for found in OurLead.objects.filter(query="Акция")] == [made.id]
    with pytest.raises(amocrm_errors.NotFound):
        OurLead.objects.get(1)
    with pytest.raises(amocrm_errors.ValidationError):
        OurLead(name="Вторая", payment="Бартер").save()


@pytest.mark.usefixtures("amocrm_api")
def test_amocrm_api_links_people_and_leaves_notes_tasks_and_calls() -> None:
    contact = OurContact(first_name="Нина", last_name="Котова", phone="+7 916 111-22-33", email="n@k.example").save()
    read = OurContact.objects.get(contact.id)
    assert (read.name, read.phone, read.email) == ("Нина Котова", "+7 916 111-22-33", "n@k.example")
    read.company = Company(name="ООО «Лето»").save()
    assert OurContact.objects.get(contact.id).company.name == "ООО «Лето»"

    lead = OurLead(name="Сделка").save()
    lead = OurLead.objects.get(lead.id)
    lead.contacts.append(contact, True)
    assert [person.name for person in OurLead.objects.get(lead.id).contacts] == ["Нина Котова"]
    lead.notes(text="Просит перезвонить").save()
    assert [(note.note_type, note.text) for note in lead.notes.objects.all()] == [("common", "Просит перезвонить")]

    due = datetime(2030, 12, 1, 9, tzinfo=UTC)
    task = Task(text="Перезвонить", complete_till=due).save()
    assert [(one.id, one.complete_till) for one in Task.objects.all()] == [(task.id, due.replace(tzinfo=None))]
    call = Call().create("inbound", phone="89161112233", source="ats", duration=timedelta(seconds=90))
    assert (call["entity_type"], call["entity_id"]) == ("lead", lead.id)
    types = {event.type for event in Event.objects.all()}
    assert {"lead_added", "contact_added", "entity_linked", "common_note_added", "task_added", "incoming_call"} <= types


@pytest.mark.usefixtures("amocrm_api")
def test_amocrm_api_has_customers_and_lists() -> None:
    assert list(Customer.objects.all()) == list(List.objects.all()) == []
    with pytest.raises(amocrm_errors.AmoApiException, match="Customers are disabled"):
        Customer(name="Рано").save()
    assert Customer.objects._interaction.enable() == {"mode": "segments", "is_enabled": True}
    customer = Customer(name="Постоянный").save()
    assert [(one.id, one.name, one.ltv) for one in Customer.objects.all()] == [(customer.id, "Постоянный", 0)]
    catalog = List(name="Товары").save()
    assert [(one.id, one.name, one.type) for one in List.objects.all()] == [(catalog.id, "Товары", "regular")]


# --- py-amo-client ---------------------------------------------------------------------------------------------------


@pytest.fixture
def py_amo(url: str) -> AmoSession:
    return AmoSession(TOKEN, "agency")


def test_py_amo_client_reads_the_account(py_amo: AmoSession) -> None:
    me = py_amo.get_me()
    assert (me.subdomain, me.customers_mode) == ("agency", "disabled")
    assert me.amojo_id
    assert len(py_amo.users.get_all()) == 8
    pipelines = py_amo.pipelines.get_all()
    main = next(one for one in pipelines if one.is_main)
    statuses = py_amo.pipeline_statuses(main.id).get_all()
    assert [one.id for one in statuses] == [one.id for one in main.statuses or []]
    assert py_amo.contacts.get_all()[0].name == "Анна Соколова"
    assert py_amo.companies.get_all()[0].name == "ООО «Ромашка»"


@pytest.mark.filterwarnings("ignore:The `dict` method is deprecated")
def test_py_amo_client_writes_deals(py_amo: AmoSession) -> None:
    first, second = py_amo.leads.create([LeadSchema(name="Акция", price=5), LeadSchema(name="Вторая")])
    lead = py_amo.leads.get_by_id(first.id)
    assert (lead.name, lead.price) == ("Акция", 5)
    # It sends back the model it read.
    py_amo.leads.update(lead.model_copy(update={"name": "Новое имя"}))
    assert [one.name for one in py_amo.leads.get_all(order="id")] == ["Новое имя", "Вторая"]
    assert py_amo.leads.get_by_id(second.id + 1) is None


def test_py_amo_client_reads_sources(py_amo: AmoSession, url: str) -> None:
    sent = [{"name": "Номер отдела продаж", "external_id": "+7 912 100 00 00"}]
    headers = {"Authorization": f"Bearer {TOKEN}"}
    made = requests.post(f"{url}/api/v4/sources", json=sent, headers=headers, timeout=20).json()
    (source,) = py_amo.sources.get_all()
    assert source.id == made["_embedded"]["sources"][0]["id"]
    assert (source.external_id, source.default) == ("+7 912 100 00 00", False)
    py_amo.sources.delete(source.id)
    assert py_amo.sources.get_by_id(source.id) is None
