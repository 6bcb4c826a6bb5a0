"""Webhooks as a receiver gets them: bodies, retries, the end of retries."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from support.sandbox_http import Receiver, ServedSandbox, receiver, served_sandbox


@pytest.fixture
def hooked() -> Iterator[Receiver]:
    with receiver() as taken:
        yield taken


@pytest.fixture
def sandbox(hooked: Receiver) -> Iterator[ServedSandbox]:
    # The receiver outlives the sandbox, whose connections are closed first.
    with served_sandbox() as served:
        yield served


def advance(sandbox: ServedSandbox, seconds: int) -> None:
    sandbox.control("POST", "clock", {"advance": seconds})
    sandbox.flush()


def test_a_subscribed_hook_arrives_in_amocrms_manner(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")

    deal = sandbox.new_deal(name='ООО "Ромашка" & Ko', price=700)
    sandbox.flush()

    [(headers, body)] = hooked.hooks
    assert headers["User-Agent"] == "amoCRM-Webhooks/3.0"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert headers["X-Amocrm-Requestid"]
    assert body.startswith(b"account%5Bsubdomain%5D=agency&account%5Bid%5D=31257294&")
    [form] = hooked.forms()
    assert form["leads[add][0][id]"] == str(deal)
    assert form["leads[add][0][name]"] == "ООО &quot;Ромашка&quot; &amp; Ko"


def test_only_subscribed_settings_are_sent(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "status_lead")
    deal = sandbox.new_deal()

    sandbox.click("PATCH", f"/api/v4/leads/{deal}", {"price": 5})
    sandbox.click("PATCH", f"/api/v4/leads/{deal}", sandbox.stage("Продажи", "Бриф получен"))
    sandbox.flush()

    assert hooked.roots() == ["leads[status]"]


def test_a_stage_change_by_the_api_sends_status_and_then_update(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "status_lead", "update_lead")
    deal = sandbox.new_deal()
    left = sandbox.world.table("leads")[deal]["status_id"]

    sandbox.click("PATCH", f"/api/v4/leads/{deal}", sandbox.stage("Продажи", "Бриф получен"))
    sandbox.flush()

    assert hooked.roots() == ["leads[status]", "leads[update]"]
    assert [form["leads[status][0][old_status_id]"] for form in hooked.forms()[:1]] == [str(left)]


def test_deals_changed_by_one_request_come_in_one_body_per_action(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "status_lead", "update_lead")
    deals = [sandbox.new_deal() for _ in range(3)]

    stage = sandbox.stage("Продажи", "Бриф получен")
    sandbox.click("PATCH", "/api/v4/leads", [{"id": deal, **stage} for deal in deals])
    sandbox.flush()

    assert hooked.roots() == ["leads[status]", "leads[update]"]
    for form, action in zip(hooked.forms(), ("status", "update"), strict=True):
        assert [form[f"leads[{action}][{index}][id]"] for index in range(3)] == [str(deal) for deal in deals]


def test_hooks_keep_their_order_for_one_address(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")

    deals = [sandbox.new_deal() for _ in range(20)]
    sandbox.flush()

    assert [int(form["leads[add][0][id]"]) for form in hooked.forms()] == deals


def test_a_5xx_receiver_gets_five_attempts_by_the_sandboxs_clock(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.control("POST", "clock", {"freeze": True})
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda _: 503
    sandbox.new_deal()
    sandbox.flush()

    counts = []
    for wait in (299, 1, 899, 1, 899, 1, 3599, 1, 100_000):
        counts.append(len(hooked.hooks))
        advance(sandbox, wait)

    assert counts == [1, 1, 2, 2, 3, 3, 4, 4, 5]
    assert len(hooked.hooks) == 5
    assert len({body for _, body in hooked.hooks}) == 1
    assert sandbox.attempts()[-1]["outcome"] == "gave_up"


def test_a_4xx_receiver_gets_three_attempts(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda _: 404
    sandbox.new_deal()
    sandbox.flush()

    for _ in range(6):
        advance(sandbox, 4000)

    assert len(hooked.hooks) == 3


def test_a_redirect_is_no_valid_answer_and_is_not_followed(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda _: 302

    sandbox.new_deal()
    sandbox.flush()

    assert [(one["status"], one["outcome"]) for one in sandbox.attempts()] == [(302, "will_retry")]


def test_a_receiver_that_recovers_gets_the_hook_once_more_and_no_further(
    sandbox: ServedSandbox, hooked: Receiver
) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda number: 500 if number == 0 else 200
    sandbox.new_deal()
    sandbox.flush()

    for _ in range(4):
        advance(sandbox, 4000)

    assert [one["outcome"] for one in sandbox.attempts()] == ["will_retry", "delivered"]


def test_a_slow_receiver_is_booked_as_499_and_tried_again(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.control("POST", "hooks/settings", {"timeout": 0.05})
    sandbox.subscribe(hooked.url, "add_lead")
    answer_now = threading.Event()
    hooked.answer = lambda _: 204 if answer_now.wait(20) else 500

    sandbox.new_deal()
    sandbox.flush()
    answer_now.set()

    assert [(one["status"], one["outcome"]) for one in sandbox.attempts()] == [(499, "will_retry")]


def test_nobody_there_is_tried_again_too(sandbox: ServedSandbox) -> None:
    with receiver() as gone:
        address = gone.url
    sandbox.subscribe(address, "add_lead")

    sandbox.new_deal()
    sandbox.flush()

    assert [(one["status"], one["outcome"]) for one in sandbox.attempts()] == [(0, "will_retry")]


def test_speed_brings_retries_sooner(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.control("POST", "clock", {"freeze": True})
    sandbox.control("POST", "hooks/settings", {"speed": 100})
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda number: 500 if number == 0 else 200
    sandbox.new_deal()
    sandbox.flush()

    advance(sandbox, 3)

    assert len(hooked.hooks) == 2


def test_more_than_a_hundred_bad_answers_switch_the_hook_off(sandbox: ServedSandbox, hooked: Receiver) -> None:
    webhook = sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda _: 400

    for batch in ([{}] * 100, [{}]):
        for _ in batch:
            sandbox.new_deal()
        sandbox.flush()
        if len(batch) == 100:
            assert not sandbox.world.table("webhooks")[webhook]["disabled"]

    assert sandbox.world.table("webhooks")[webhook]["disabled"]
    sandbox.new_deal()
    advance(sandbox, 1000)
    assert len(hooked.hooks) == 101
    assert sandbox.subscribe(hooked.url, "add_lead") == webhook
    sandbox.new_deal()
    sandbox.flush()
    assert len(hooked.hooks) == 102


def test_an_unsubscribed_address_gets_no_retry(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    hooked.answer = lambda _: 500
    sandbox.new_deal()
    sandbox.flush()

    sandbox.call("DELETE", "/api/v4/webhooks", {"destination": hooked.url})
    advance(sandbox, 400)

    assert len(hooked.hooks) == 1


def test_a_dropped_hook_never_comes(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    sandbox.control("POST", "faults", {"kind": "hook_drop", "count": 1})

    lost, sent = sandbox.new_deal(), sandbox.new_deal()
    advance(sandbox, 100_000)

    assert [form["leads[add][0][id]"] for form in hooked.forms()] == [str(sent)]
    assert [one["outcome"] for one in sandbox.attempts()] == ["lost", "delivered"]
    assert f"={lost}&" in sandbox.attempts()[0]["body"]


def test_a_duplicated_hook_comes_twice_with_two_request_ids(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_lead")
    sandbox.control("POST", "faults", {"kind": "hook_duplicate", "count": 1})

    sandbox.new_deal()
    sandbox.flush()

    (first, one), (second, other) = hooked.hooks
    assert one == other
    assert first["X-Amocrm-Requestid"] != second["X-Amocrm-Requestid"]


def test_a_reordered_hook_comes_after_the_next_one(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.control("POST", "clock", {"freeze": True})
    sandbox.subscribe(hooked.url, "add_lead")
    sandbox.control("POST", "faults", {"kind": "hook_reorder", "count": 1})

    deals = [sandbox.new_deal() for _ in range(3)]
    sandbox.flush()

    got = [int(form["leads[add][0][id]"]) for form in hooked.forms()]
    assert got == [deals[1], deals[0], deals[2]]


def test_a_delayed_hook_waits_by_the_sandboxs_clock(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.control("POST", "clock", {"freeze": True})
    sandbox.subscribe(hooked.url, "add_lead")
    sandbox.control("POST", "faults", {"kind": "hook_delay", "count": 1, "seconds": 60})
    sandbox.new_deal()
    sandbox.flush()
    before = len(hooked.hooks)

    advance(sandbox, 60)

    assert (before, len(hooked.hooks)) == (0, 1)


def test_status_hooks_alone_may_be_lost(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "status_lead", "update_lead")
    sandbox.control("POST", "faults", {"kind": "hook_lose_status"})
    deal = sandbox.new_deal()

    sandbox.click("PATCH", f"/api/v4/leads/{deal}", sandbox.stage("Продажи", "Бриф получен"))
    sandbox.flush()

    assert hooked.roots() == ["leads[update]"]


def test_a_letter_fires_no_account_hook_but_the_digital_pipelines(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "note_lead", "update_lead")
    deal = sandbox.new_deal()
    stage = {name: sandbox.world.table("leads")[deal][name] for name in ("pipeline_id", "status_id")}
    sandbox.control("POST", "hooks/pipeline", {"destination": hooked.url + "/dp", "event": "mail_in", **stage})

    letter = {"entity_type": "leads", "entity_id": deal, "from_email": "client@example.com", "subject": "Бриф"}
    sandbox.control("POST", "ui/incoming_mail", {"user_id": 0, **letter})
    sandbox.flush()

    expected = {
        "leads[mail_in][0][id]": str(deal),
        "leads[mail_in][0][status_id]": str(stage["status_id"]),
        "leads[mail_in][0][pipeline_id]": str(stage["pipeline_id"]),
        "account[id]": "31257294",
        "account[subdomain]": "agency",
    }
    assert hooked.forms() == [expected]
    assert list(hooked.forms()[0]) == list(expected)


def test_a_digital_pipeline_hook_is_never_tried_again(sandbox: ServedSandbox, hooked: Receiver) -> None:
    hooked.answer = lambda _: 500
    sandbox.control("POST", "hooks/pipeline", {"destination": hooked.url, "event": "status"})
    deal = sandbox.new_deal()
    came_from = sandbox.world.table("leads")[deal]

    sandbox.click("PATCH", f"/api/v4/leads/{deal}", sandbox.stage("Реализация", "Тайминг"))
    advance(sandbox, 100_000)

    [form] = hooked.forms()
    assert form["leads[status][0][old_pipeline_id]"] == str(came_from["pipeline_id"])
    assert len(form) == 7


def test_linking_a_contact_is_told_as_the_contacts_update(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "update_contact", "update_lead")
    deal = sandbox.new_deal()
    contact = next(iter(sandbox.world.table("contacts")))

    link = [{"to_entity_id": contact, "to_entity_type": "contacts"}]
    sandbox.click("POST", f"/api/v4/leads/{deal}/link", link)
    sandbox.flush()

    [form] = hooked.forms()
    assert form["contacts[update][0][id]"] == str(contact)
    assert form[f"contacts[update][0][linked_leads_id][{deal}][ID]"] == str(deal)


def test_a_form_enquiry_and_its_acceptance(sandbox: ServedSandbox, hooked: Receiver) -> None:
    sandbox.subscribe(hooked.url, "add_unsorted", "delete_unsorted", "add_lead", "status_lead")
    metadata = {"form_id": "1", "form_name": "Заявка", "form_page": "https://example.com", "form_sent_at": 1726573764}
    enquiry = {
        "source_uid": "a1",
        "source_name": "Сайт",
        "metadata": metadata,
        "_embedded": {"leads": [{"name": "Заявка"}]},
    }
    answer = sandbox.click("POST", "/api/v4/leads/unsorted/forms", [enquiry]).json()["_embedded"]["unsorted"][0]
    sandbox.flush()
    [added] = hooked.forms()

    sandbox.click("POST", f"/api/v4/leads/unsorted/{answer['uid']}/accept", {"user_id": sandbox.user("Иван Петров")})
    sandbox.flush()

    assert added["unsorted[add][0][lead_id]"] == str(answer["_embedded"]["leads"][0]["id"])
    assert added["unsorted[add][0][source_data][form_name]"] == "Заявка"
    assert hooked.roots() == ["unsorted[add]", "unsorted[delete]", "leads[status]"]
    assert hooked.forms()[1]["unsorted[delete][0][action]"] == "accept"
