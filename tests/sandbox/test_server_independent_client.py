"""A client nobody of this project wrote, aioamocrm, does its whole work against the sandbox."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from aioamocrm import (
    AmoCRMClient,
    AmoCRMError,
    AuthError,
    Company,
    Contact,
    Embedded,
    ForbiddenError,
    Lead,
    LongLivedToken,
    MemoryTokenStorage,
    NetworkError,
    NotFoundError,
    OAuth2,
    PaymentRequiredError,
    RateLimitError,
    RetryPolicy,
    ServerError,
    Tag,
    ValidationError,
    parse_webhook,
)
from support.sandbox_account import INTEGRATION, TOKEN
from support.sandbox_http import receiver

from amo_bridge.sandbox.account_start import load_world
from amo_bridge.sandbox.server import serving

ONCE = RetryPolicy(max_attempts=1)
Story = Callable[[AmoCRMClient], Awaitable[None]]


@dataclass(frozen=True)
class Served:
    url: str

    def control(self, method: str, path: str, body: Any = None) -> Any:
        answer = requests.request(method, f"{self.url}/sandbox/{path}", json=body, timeout=20)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def play(self, story: Story, token: str = TOKEN, retry: RetryPolicy | None = None) -> None:
        async def whole() -> None:
            auth = LongLivedToken(token)
            async with AmoCRMClient(base_url=self.url, auth=auth, rate_limit=None, retry=retry) as amo:
                await story(amo)

        asyncio.run(whole())


@pytest.fixture
def served() -> Iterator[Served]:
    world = load_world()
    with serving(world) as url:
        sandbox = Served(url)
        sandbox.control("POST", "limits", {"enabled": False})
        yield sandbox
    world.close()


def known(entity_id: int | None) -> int:
    assert entity_id is not None
    return entity_id


async def stage(amo: AmoCRMClient, pipeline: str, name: str) -> dict[str, int]:
    found = next(one for one in await amo.pipelines.list() if one.name == pipeline)
    status = next(one for one in found.statuses if one.name == name)
    return {"pipeline_id": known(found.id), "status_id": known(status.id)}


async def field(amo: AmoCRMClient, name: str) -> int:
    return known(next(one.id for one in [item async for item in amo.leads.custom_fields.iterate()] if one.name == name))


async def anna(amo: AmoCRMClient) -> int:
    (contact,) = [one async for one in amo.contacts.iterate(query="Соколова")]
    return known(contact.id)


async def new_lead(amo: AmoCRMClient, **lead: Any) -> int:
    (made,) = await amo.leads.create([lead or {"name": "Сделка"}])
    return known(made.id)


# --- the account -------------------------------------------------------------------------------------------------


def test_account_users_pipelines_and_fields(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        account = await amo.account.get(with_=["amojo_id", "task_types", "users_groups"])
        users = {user.name: user async for user in amo.users.iterate(limit=3, with_=["group"])}
        assert len(users) == 8
        assert account.current_user_id == users[INTEGRATION].id
        assert (users[INTEGRATION].rights or {})["is_admin"] is True
        assert account.amojo_id
        main = next(one for one in await amo.pipelines.list() if one.is_main)
        one = await amo.pipelines.get(known(main.id))
        assert [status.id for status in one.statuses] == [status.id for status in main.statuses]
        assert {142, 143} < {status.id for status in await amo.pipelines.statuses(known(main.id))}
        fields = [item async for item in amo.contacts.custom_fields.iterate(limit=1)]
        phone = next(item for item in fields if item.code == "PHONE")
        assert phone.enum_id("WORK") is not None
        assert (await amo.contacts.custom_fields.get(known(phone.id))).name == phone.name

    served.play(story)


# --- deals -------------------------------------------------------------------------------------------------------


def test_deals_over_several_pages(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        assert [lead async for lead in amo.leads.iterate()] == []
        made = await amo.leads.create([Lead(name=f"№ {number}", price=number) for number in range(130)])
        ids = [known(ref.id) for ref in made]
        assert len(set(ids)) == 130
        assert [lead.id async for lead in amo.leads.iterate(limit=50, order={"id": "asc"})] == ids
        assert [lead.id async for lead in amo.leads.iterate(limit=7, order={"id": "desc"})] == ids[::-1]
        last = await amo.leads.get_page(3, limit=50)
        assert (len(last), last.has_next) == (30, False)
        wanted = {"id": ids[10:70], "price": {"from": 20, "to": 40}}
        assert [lead.price async for lead in amo.leads.iterate(limit=5, filter=wanted)] == list(range(20, 41))
        past = await amo.leads.get_page(4, limit=50)
        assert (len(past), past.has_next) == (0, False)

    served.play(story)


def test_a_deal_is_written_and_read_whole(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        payment, brief_at = await field(amo, "Тип оплаты"), await field(amo, "Дата первой встречи")
        draft = Lead(name="Акция", price=5_000, embedded=Embedded(tags=[Tag(name="блогеры"), Tag(name="срочно")]))
        draft.set_field(brief_at, 1_789_000_000)
        (made,) = await amo.leads.create([draft])
        lead = await amo.leads.get(known(made.id), with_=["contacts"])
        assert (lead.name, lead.price, lead.field_value(brief_at)) == ("Акция", 5_000, 1_789_000_000)
        assert lead.embedded.contacts == []

        lead.set_field(payment, "Предоплата")
        await amo.leads.update([lead])
        body = {
            "custom_fields_values": [{"field_id": brief_at, "values": None}],
            "tags_to_add": [{"name": "договор"}],
            "tags_to_delete": [{"name": "срочно"}],
            **await stage(amo, "Продажи", "Бриф получен"),
        }
        answer = await amo.request("PATCH", f"leads/{lead.id}", json=body)
        assert set(answer) == {"id", "updated_at", "_links"}

        after = await amo.leads.get(known(lead.id))
        assert after.field_value(payment) == "Предоплата"
        assert after.field(brief_at) is None
        assert [tag.name for tag in after.embedded.tags] == ["блогеры", "договор"]
        assert after.status_id == body["status_id"]

    served.play(story)


def test_a_batch_moves_all_its_deals(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        ids = [known(ref.id) for ref in await amo.leads.create([{"name": str(number)} for number in range(60)])]
        changed = await amo.leads.update([Lead(id=lead_id, status_id=142) for lead_id in ids])
        assert [ref.id for ref in changed] == ids
        assert all(ref.updated_at for ref in changed)
        leads = [lead async for lead in amo.leads.iterate()]
        assert {lead.status_id for lead in leads} == {142}
        assert all(lead.closed_at for lead in leads)

    served.play(story)


def test_complex_add_and_links(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        contact = Contact(first_name="Нина", last_name="Котова")
        contact.set_field("PHONE", "+7 916 111-22-33", enum_code="MOB")
        whole = Embedded(contacts=[contact], companies=[Company(name="ООО «Лето»")])
        (made,) = await amo.leads.create_complex([Lead(name="С сайта", embedded=whole)])
        assert (made.merged, made.request_id) == (False, ["0"])
        nina = await amo.contacts.get(known(made.contact_id), with_=["leads"])
        assert (nina.name, nina.field_value("PHONE", enum_code="MOB")) == ("Нина Котова", "+7 916 111-22-33")
        assert [ref.id for ref in nina.embedded.companies] == [made.company_id]

        (other,) = await amo.contacts.create([Contact(name="Пётр")])
        (link,) = await amo.leads.link(known(made.id), "contacts", known(other.id), metadata={"is_main": True})
        assert link.metadata == {"main_contact": True}
        lead = await amo.leads.get(known(made.id), with_=["contacts"])
        assert [(ref.id, ref.is_main) for ref in lead.embedded.contacts] == [(other.id, True), (nina.id, False)]
        await amo.leads.unlink(known(made.id), "contacts", known(nina.id))
        people = await amo.leads.links(known(made.id), filter={"to_entity_type": "contacts"})
        assert [one.to_entity_id for one in people] == [other.id]

    served.play(story)


def test_contacts_and_companies(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        anna_id = await anna(amo)
        await amo.contacts.update([Contact(id=anna_id, first_name="Анна", last_name="Лебедева")])
        assert (await amo.contacts.get(anna_id)).name == "Анна Лебедева"
        (made,) = await amo.companies.create([Company(name="АО «Зима»")])
        await amo.companies.link(known(made.id), "contacts", anna_id)
        assert known(made.id) in [company.id async for company in amo.companies.iterate()]
        company = await amo.companies.get(known(made.id), with_=["contacts"])
        assert [ref.id for ref in company.embedded.contacts] == [anna_id]

    served.play(story)


# --- tasks and notes ---------------------------------------------------------------------------------------------


def test_a_task_from_birth_to_completion(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        lead_id = await new_lead(amo)
        of_lead = {"entity_type": "leads", "entity_id": lead_id}
        (made,) = await amo.tasks.create([{"text": "Позвонить", "complete_till": 2_000_000_000, **of_lead}])
        await amo.tasks.update([{"id": made.id, "complete_till": 2_000_000_100}])
        (open_task,) = [task async for task in amo.tasks.iterate(filter={"is_completed": 0, **of_lead})]
        assert (open_task.complete_till, open_task.result) == (2_000_000_100, None)
        assert (await amo.leads.get(lead_id)).closest_task_at == 2_000_000_100
        done = await amo.tasks.complete(known(made.id), result="Согласовано")
        assert (done.id, done.request_id) == (made.id, "0")
        task = await amo.tasks.get(known(made.id))
        assert task.result is not None
        assert (task.is_completed, task.result.text) == (True, "Согласовано")

    served.play(story)


def test_notes(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        lead_id = await new_lead(amo)
        call = {"uniq": "c1", "duration": 30, "source": "ats", "phone": "+79161112233"}
        await amo.leads.notes.create(
            [
                {"entity_id": lead_id, "note_type": "common", "params": {"text": "Обсудили"}},
                {"entity_id": lead_id, "note_type": "call_in", "params": call},
            ]
        )
        notes = [note async for note in amo.leads.notes.iterate(entity_id=lead_id, limit=1)]
        assert {note.note_type for note in notes} == {"common", "call_in"}
        (talk,) = [note async for note in amo.leads.notes.iterate(filter={"note_type": "call_in"})]
        assert talk.params is not None
        assert talk.params["duration"] == 30
        again = await amo.leads.notes.get(known(notes[0].id), entity_id=lead_id)
        assert again.text == notes[0].text

    served.play(story)


# --- webhooks and events -----------------------------------------------------------------------------------------


def test_its_parser_reads_the_webhooks_it_subscribed_to(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        with receiver() as received:
            hook = {"destination": received.url, "settings": ["status_lead", "update_contact"]}
            assert (await amo.request("POST", "webhooks", json=hook))["disabled"] is False
            listed = (await amo.request("GET", "webhooks"))["_embedded"]["webhooks"]
            assert [(one["destination"], one["settings"]) for one in listed] == [
                (hook["destination"], hook["settings"])
            ]
            lead_id = await new_lead(amo)
            move = await stage(amo, "Продажи", "Бриф получен")
            await amo.leads.update([{"id": lead_id, **move}])
            contact = Contact(id=await anna(amo))
            contact.set_field("PHONE", "+7 900 1", enum_code="WORK")
            await amo.contacts.update([contact])
            await asyncio.to_thread(served.control, "POST", "hooks/flush", {"timeout": 20})
            await amo.request("DELETE", "webhooks", json={"destination": received.url})
            assert await amo.request("GET", "webhooks") is None
            first, second = (parse_webhook(body) for _, body in received.hooks)
        (moved,) = first.events
        assert (moved.entity, moved.action, moved.id) == ("leads", "status", lead_id)
        assert moved.payload["status_id"] == str(move["status_id"])
        assert (first.subdomain, first.account_id) == ("agency", (await amo.account.get()).id)
        (changed,) = second.events
        assert (changed.entity, changed.action, changed.payload["type"]) == ("contacts", "update", "contact")
        assert changed.field_value("PHONE") == "+7 900 1"

    served.play(story)


def test_events_through_its_plain_request(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        lead_id = await new_lead(amo)
        await amo.leads.update([Lead(id=lead_id, status_id=142)])
        wanted = {"filter": {"entity": "lead", "entity_id": [lead_id], "type": "lead_status_changed"}}
        (event,) = (await amo.request("GET", "events", params=wanted))["_embedded"]["events"]
        assert event["value_after"][0]["lead_status"]["id"] == 142
        wanted["filter"]["type"] = "lead_deleted"
        assert await amo.request("GET", "events", params=wanted) is None

    served.play(story)


# --- refusals ----------------------------------------------------------------------------------------------------


def test_what_is_not_there_is_told_by_204(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        lead_id = await new_lead(amo)
        for missing in (
            amo.leads.get(1),
            amo.contacts.get(1),
            amo.companies.get(1),
            amo.tasks.get(1),
            amo.leads.notes.get(1, entity_id=lead_id),
        ):
            with pytest.raises(NotFoundError) as caught:
                await missing
            assert caught.value.status_code == 204
        with pytest.raises(NotFoundError) as caught:
            await amo.request("GET", "no/such/thing")
        assert (caught.value.status_code, caught.value.detail) == (404, f"Cannot GET {served.url}/api/v4/no/such/thing")

    served.play(story)


def test_a_wrong_batch_names_object_field_and_reason_and_writes_nothing(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        with pytest.raises(ValidationError) as caught:
            await amo.leads.create([Lead(name="хорошая"), Lead(name="плохая", responsible_user_id=1)])
        (issue,) = caught.value.errors
        assert (issue.request_id, issue.code, issue.path) == ("1", "NotSupportedChoice", "responsible_user_id")
        assert (caught.value.status_code, caught.value.detail) == (400, "Request validation failed")
        assert [lead async for lead in amo.leads.iterate()] == []
        with pytest.raises(ValidationError) as caught:
            await amo.request("POST", "leads", json=[{}] * 251)
        assert (caught.value.status_code, caught.value.detail) == (422, "Limit 250 per page")

    served.play(story)


def test_a_wrong_token_and_one_without_rights(served: Served) -> None:
    async def stranger(amo: AmoCRMClient) -> None:
        with pytest.raises(AuthError) as caught:
            await amo.account.get()
        assert (caught.value.status_code, caught.value.detail) == (401, "Invalid user name or password")

    async def manager(amo: AmoCRMClient) -> None:
        assert (await amo.account.get()).current_user_id == 10_000_002
        with pytest.raises(ForbiddenError):
            await amo.users.get_page()

    served.control("POST", "tokens", {"token": "manager", "user_id": 10_000_002})
    served.play(stranger, token="wrong")
    served.play(manager, token="manager")


def test_too_many_writes_are_an_error_it_sees(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        with pytest.raises(RateLimitError) as caught:
            await amo.leads.create([{"name": "a"}])
        assert caught.value.title == "Too Many Requests"
        assert caught.value.body["retry_after"] == 1

    served.control("POST", "limits", {"enabled": True, "per_second": 0})
    served.play(story)


def test_too_many_reads_are_repeated_until_they_are_let_through(served: Served) -> None:
    async def story(amo: AmoCRMClient) -> None:
        reading = asyncio.create_task(amo.account.get())
        while not (await asyncio.to_thread(served.control, "GET", "limits"))["refused_so_far"]:
            assert not reading.done()
        await asyncio.to_thread(served.control, "POST", "limits", {"per_second": 7})
        assert (await reading).name == "Агентство"

    served.control("POST", "limits", {"enabled": True, "per_second": 0})
    served.play(story, retry=RetryPolicy(max_attempts=50, backoff_base=0.2, backoff_max=0.2))


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ({"kind": "unpaid_402"}, PaymentRequiredError),
        ({"kind": "html_403"}, ForbiddenError),
        ({"kind": "status", "status": 502}, ServerError),
        ({"kind": "status", "status": 504}, ServerError),
        ({"kind": "lost_answer"}, NetworkError),
        ({"kind": "refuse_before"}, NetworkError),
        ({"kind": "blocked_page"}, AmoCRMError),
    ],
)
def test_bad_weather_is_an_error_of_its_kind(served: Served, fault: dict[str, Any], error: type[AmoCRMError]) -> None:
    async def story(amo: AmoCRMClient) -> None:
        with pytest.raises(error):
            await amo.leads.create([{"name": "в бурю"}])

    served.control("POST", "faults", fault)
    served.play(story, retry=ONCE)
    served.control("DELETE", "faults")
    landed = fault["kind"] == "lost_answer"
    assert (len(served.control("GET", "state?kind=leads")["tables"]["leads"]) == 1) is landed


# --- OAuth -------------------------------------------------------------------------------------------------------


def test_oauth_from_the_code_to_a_refresh_and_to_a_revoked_token(served: Served) -> None:
    client = ("2f6b1c0e-7d43-4f7a-9a51-5b0f3d6e8c11", "sandbox-secret", "http://127.0.0.1:8080/oauth/callback")
    asked = {"client_id": client[0], "auto": "1"}
    page = requests.get(f"{served.url}/oauth", params=asked, allow_redirects=False, timeout=20)
    code = parse_qs(urlsplit(page.headers["Location"]).query)["code"][0]

    async def whole() -> None:
        storage = MemoryTokenStorage()
        auth = OAuth2(*client, storage)
        async with AmoCRMClient(base_url=served.url, auth=auth, rate_limit=None) as amo:
            first = await amo.exchange_code(code)
            assert (await amo.account.get()).current_user_id == 10_000_001
            with pytest.raises(AuthError, match="Authorization code has been revoked"):
                await amo.exchange_code(code)
            # A day passes in the account and not for the client, which learns of it by a 401.
            await asyncio.to_thread(served.control, "POST", "clock", {"advance": 86_400})
            assert (await amo.account.get()).current_user_id == 10_000_001
            second = await storage.load()
            assert second is not None
            assert second.refresh_token != first.refresh_token
        stale = OAuth2(*client, MemoryTokenStorage(first))
        async with AmoCRMClient(base_url=served.url, auth=stale, rate_limit=None) as amo:
            with pytest.raises(AuthError, match="Token has been revoked"):
                await amo.account.get()

    asyncio.run(whole())
