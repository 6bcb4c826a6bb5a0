"""Letters by Unisender Go's API: what it takes, refuses and loses; what its webhooks and lists of events settle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import responses
from sqlalchemy import select, update
from support.channel_fakes import no_document
from support.fakes import ACCOUNT, ScriptedCrm, clock, errors, queue, rule_engine, states, user
from support.vendor_requests import post as receive_post

from amo_bridge.channels.attachments import Attachments, DealFiles
from amo_bridge.channels.letter import AddressRefused, AddressUnwilling, EnclosedFile, Letter, message_id
from amo_bridge.channels.mail import MailPort, address_key
from amo_bridge.channels.mail_log import MailMemory, Unsubscribing
from amo_bridge.channels.sender import ChannelSender
from amo_bridge.channels.unisender_go import UnisenderGo
from amo_bridge.config.channels import MailSection, UnisenderGoSection
from amo_bridge.engine.effects import Effect
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain
from amo_bridge.intake.channel_reports import settles_letter
from amo_bridge.intake.model import DeliveryStatus
from amo_bridge.standins.server import StandIns, serving
from amo_bridge.standins.unisender_go import UnisenderGoStandIn
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, letters, outbox, suppressed
from amo_bridge.text.templates import Rendered, Templates
from tests.channels.test_mail import CONTACTS, DEALS, MANAGER, OLGA, SHIPPED, contact, deal_row

ADDRESS = "olga@client.example"
API = "https://go1.unisender.ru"
SEND = f"{API}/ru/transactional/api/v1/email/send.json"
KEY = "the-secret-key"


def letter(**changed: Any) -> Letter:
    facts: dict[str, Any] = {
        "sender": "Агентство «Ромашка» <info@agency.example>",
        "to_name": "Ольга Смирнова",
        "to_address": ADDRESS,
        "content": Rendered("Ждём бриф", "Текст {{ не подстановка }}\n"),
        "message_id": message_id(ACCOUNT, "event", "info@agency.example"),
        "at": clock().now(),
        "number": 501,
    }
    return Letter(**(facts | changed))


# --- the client -------------------------------------------------------------------------------------------------------


@pytest.fixture
def stand_ins() -> Iterator[StandIns]:
    made = StandIns(["unisender_go"], live=False)
    with serving(made):
        yield made


@pytest.fixture
def go(stand_ins: StandIns) -> UnisenderGoStandIn:
    made = stand_ins["unisender_go"]
    assert isinstance(made, UnisenderGoStandIn)
    return made


def client_of(go: UnisenderGoStandIn, **section: Any) -> UnisenderGo:
    api = go.settings()["api"]
    return UnisenderGo(UnisenderGoSection(api=api, **section), go.key, "Агентство <info@agency.example>")


def test_a_letter_says_from_whom_to_whom_and_what(go: UnisenderGoStandIn) -> None:
    file = EnclosedFile("Счёт/1.docx", b"PK", "application/octet-stream")
    number = client_of(go).deliver(letter(reply_to="sales@agency.example", files=(file,)))
    (taken,) = go.letters
    assert number == taken.job_id
    message = taken.message
    assert (message["from_email"], message["from_name"]) == ("info@agency.example", "Агентство «Ромашка»")
    assert (message["subject"], message["reply_to"]) == ("Ждём бриф", "sales@agency.example")
    (recipient,) = message["recipients"]
    assert recipient["metadata"] == {"outbox_id": "501", "letter_key": letter().key}
    assert message["idempotence_key"] == letter().key
    assert (message["template_engine"], message["skip_unsubscribe"], message["track_links"]) == ("none", 0, 0)
    assert taken.files == {"Счёт-1.docx": b"PK"}


def test_a_part_in_html_is_a_whole_page(go: UnisenderGoStandIn) -> None:
    client_of(go).deliver(letter(content=Rendered("Тема", "текст\n", "<p>текст</p>")))
    whole = letter(content=Rendered("Тема", "текст\n", "<!doctype html><HTML lang=ru>a</HTML>"), message_id="<2@a.b>")
    client_of(go).deliver(whole)
    parts = [one.message["body"]["html"] for one in go.letters]
    assert parts == ["<html><body><p>текст</p></body></html>", "<!doctype html><HTML lang=ru>a</HTML>"]


def test_a_key_that_nobody_can_have_is_told(go: UnisenderGoStandIn) -> None:
    with pytest.raises(ChannelDown, match="не латинские буквы"):
        UnisenderGo(UnisenderGoSection(api=go.settings()["api"]), "ключ").check()


def test_our_own_unsubscribing_stands_in_the_headers_only_where_it_is_allowed(go: UnisenderGoStandIn) -> None:
    link, before = "https://bridge.example/u/token", "<1@agency.example>"
    client_of(go).deliver(letter(unsubscribe=link, answers=(before,)))
    assert "headers" not in go.letters[0].message
    go.configure({"may_skip_unsubscribe": True})
    other = letter(unsubscribe=link, answers=(before,), message_id="<2@agency.example>")
    client_of(go, own_unsubscribing=True).deliver(other)
    headers = go.letters[1].message["headers"]
    assert (headers["List-Unsubscribe"], headers["In-Reply-To"]) == (f"<{link}>", before)


def test_what_was_taken_a_moment_ago_is_not_taken_twice(go: UnisenderGoStandIn) -> None:
    client = client_of(go)
    assert (client.deliver(letter()), client.deliver(letter())) == (go.letters[0].job_id, "")
    assert len(go.letters) == 1


@pytest.mark.parametrize(("status", "kind"), [
    ("invalid", AddressRefused), ("permanent_unavailable", AddressRefused), ("blocked", AddressRefused),
    ("unsubscribed", AddressUnwilling), ("complained", AddressUnwilling), ("temporary_unavailable", ChannelBusy),
])  # fmt: skip
def test_an_address_that_is_not_written_to(go: UnisenderGoStandIn, status: str, kind: type[ChannelError]) -> None:
    go.configure({"refuses": {ADDRESS: status}})
    with pytest.raises(kind, match="не пишет на этот адрес") as told:
        client_of(go).deliver(letter())
    if isinstance(told.value, AddressUnwilling):
        assert told.value.is_complaint == (status == "complained")


@pytest.mark.parametrize("http", [200, 400, 403])
@pytest.mark.parametrize(("code", "kind", "words"), [
    (102, ChannelDown, "AMO_BRIDGE_UNISENDER_GO_KEY"), (114, ChannelDown, "go2.unisender.ru"),
    (206, ChannelDown, "не подтверждён"), (901, ChannelDown, "лимит"), (904, ChannelDown, "пополните счёт"),
    (199, ChannelRefused, "10 МБ"), (1588, ChannelDown, "own_unsubscribing = false"),
])  # fmt: skip
def test_an_error_is_read_from_the_body_whatever_the_status(
    go: UnisenderGoStandIn, code: int, kind: type[ChannelError], words: str, http: int
) -> None:
    go.configure({"error": {"code": code, "message": "Vendor's words", "status": http}})
    with pytest.raises(kind, match=words):
        client_of(go).deliver(letter())


@pytest.mark.parametrize(("http", "kind"), [
    (200, ChannelRefused), (400, ChannelRefused), (403, ChannelDown), (429, ChannelBusy), (500, ChannelUncertain),
])  # fmt: skip
def test_an_error_that_nobody_has_met_is_told_in_the_vendors_words(
    go: UnisenderGoStandIn, http: int, kind: type[ChannelError]
) -> None:
    go.configure({"error": {"code": 9999, "message": "Something new", "status": http}})
    with pytest.raises(kind, match="Something new"):
        client_of(go).deliver(letter())


@pytest.mark.parametrize(("answer", "kind"), [
    ({"body": "<html>503</html>", "status": 503}, ChannelUncertain),
    ({"body": "<html>stub</html>", "status": 200}, ChannelUncertain),
    ({"json": {"hello": 1}, "status": 200}, ChannelUncertain),
    ({"json": {"status": "success"}, "status": 200}, ChannelUncertain),
    ({"body": "slow down", "status": 429, "headers": {"Retry-After": "7"}}, ChannelBusy),
    ({"body": "Forbidden", "status": 403}, ChannelDown),
])  # fmt: skip
@responses.activate
def test_what_is_no_answer_of_the_api(answer: dict[str, Any], kind: type[ChannelError]) -> None:
    responses.post(SEND, **answer)
    with pytest.raises(kind) as told:
        UnisenderGo(UnisenderGoSection(), KEY).deliver(letter())
    assert KEY not in str(told.value)
    assert told.value.retry_after == (7.0 if kind is ChannelBusy else None)


def test_check_looks_at_the_senders_domain(go: UnisenderGoStandIn) -> None:
    assert client_of(go).check() == "Unisender Go пускает, писем в тарифе 1000, ушло 0"
    go.configure({"domains": ["other.example"]})
    with pytest.raises(ChannelRefused, match=r"домена agency\.example в кабинете нет"):
        client_of(go).check()
    go.configure({"key": "another"})
    with pytest.raises(ChannelDown, match="AMO_BRIDGE_UNISENDER_GO_KEY"):
        UnisenderGo(UnisenderGoSection(api=go.settings()["api"]), "wrong").check()


# --- the port ---------------------------------------------------------------------------------------------------------


class Desk:
    """The port of letters with the stand-in behind it."""

    def __init__(self, store: Store, stand_ins: StandIns, go: UnisenderGoStandIn, folder: Path) -> None:
        self.store, self.stand_ins, self.go = store, stand_ins, go
        self.own = AccountStore(store, ACCOUNT)
        self.hands = clock()
        # The list of events is asked for by time.
        stand_ins.timeline._stands_at = self.hands.now().timestamp()
        self.crm = ScriptedCrm(rows={DEALS: [deal_row()], CONTACTS: [contact(OLGA, ADDRESS)]})
        self.memory = MailMemory(self.own, self.hands)
        self.port = MailPort(
            MailSection.model_validate({"from": "Агентство <info@agency.example>"}),
            client_of(go),
            Templates(folder),
            Attachments(folder, DealFiles(self.crm, rule_engine), no_document, 1 << 20),  # type: ignore[arg-type]
            self.memory,
            self.crm,  # type: ignore[arg-type]
            rule_engine,
            ACCOUNT,
            self.hands,
        )

    def send(self, minutes: float = 0) -> int:
        self.hands.advance(timedelta(minutes=minutes))
        return ChannelSender(self.own, self.port, self.hands, self.hands).send()

    def want(self, template: str = "ждём бриф", **changed: Any) -> None:
        body = {"template": template, "service": True, "thread": "", "no_address": user(MANAGER)} | changed
        queue(self.store, Effect("send_letter", 7, body, f"письмо «{template}»", not_before=1.0), event_key=template)

    def lose(self, kind: str = "lost_answer") -> None:
        self.stand_ins.faults.add(kind, vendor="unisender_go", path="*/email/send.json")

    def kept(self) -> tuple[str, str]:
        with self.store.read() as connection:
            row = connection.execute(select(letters.c.state, letters.c.vendor_id)).one()
        return row.state, row.vendor_id

    def hear(self, state: Any, address: str = ADDRESS, outbox_id: str = "1") -> bool:
        status = DeliveryStatus(
            source="unisender_go", key=f"{state}", state=state, outbox_id=outbox_id, vendor_id="job", address=address,
            reason="550 No such user" if state == "bounced" else "",
        )  # fmt: skip
        with self.store.write() as connection:
            return settles_letter(connection, self.own, status, self.hands)

    def suppressed(self) -> list[tuple[str, str]]:
        with self.store.read() as connection:
            rows = connection.execute(select(suppressed.c.reason, suppressed.c.words, suppressed.c.address_key)).all()
        assert all(row.address_key == address_key(ACCOUNT, ADDRESS) for row in rows)
        return [(row.reason, row.words) for row in rows]

    def events(self) -> int:
        with self.store.read() as connection:
            return len(connection.execute(select(events.c.id)).all())


@pytest.fixture
def desk(store: Store, stand_ins: StandIns, go: UnisenderGoStandIn, tmp_path: Path) -> Desk:
    return Desk(store, stand_ins, go, Path(shutil.copytree(SHIPPED, tmp_path / "letters")))


def test_a_letter_is_kept_with_the_services_number_and_its_states(desk: Desk) -> None:
    desk.want()
    assert desk.send() == 1
    assert states(desk.store) == ["done", "ready"], "the letter, and its note"
    assert desk.kept() == ("sent", desk.go.letters[0].job_id)
    assert desk.hear("delivered")
    assert desk.hear("read")
    assert desk.hear("delivered"), "late, and nothing new"
    assert (desk.kept()[0], desk.events(), desk.suppressed()) == ("read", 0, [])
    assert len(states(desk.store)) == 2, "no more is written into amoCRM"


@pytest.mark.parametrize(("state", "reason"), [("bounced", "refused"), ("spam", "unsubscribed"),
                                               ("unsubscribed", "unsubscribed")])  # fmt: skip
def test_whoever_is_not_to_be_written_to_is_not(desk: Desk, state: str, reason: str) -> None:
    desk.want()
    desk.send()
    assert desk.hear(state)
    assert desk.hear(state), "told twice"
    assert ([one for one, _ in desk.suppressed()], desk.events()) == ([reason], 1)
    # Advertising to him goes nowhere; whoever is not there gets nothing at all.
    desk.want("реквизиты", service=reason == "refused")
    desk.send()
    assert len(desk.go.letters) == 1
    last = states(desk.store)
    assert "unsent" in last


@pytest.mark.parametrize(
    ("address", "number"),
    [
        ("other@client.example", "1"),
        (ADDRESS, "99"),
        (ADDRESS, "9" * 20),
        (ADDRESS, "²"),
        (ADDRESS, "x"),
        ("", "1"),
    ],
)
def test_what_is_told_of_somebody_elses_letter_changes_nothing(desk: Desk, address: str, number: str) -> None:
    desk.want()
    desk.send()
    assert not desk.hear("bounced", address, number)
    assert (desk.kept()[0], desk.suppressed(), desk.events()) == ("sent", [], 0)


def test_a_soft_bounce_is_kept_and_the_address_stays(desk: Desk) -> None:
    desk.want()
    desk.send()
    desk.hear("failed")
    assert (desk.kept()[0], desk.suppressed()) == ("failed", [])


def test_an_address_that_the_service_knows_as_unsubscribed_is_marked(desk: Desk) -> None:
    desk.go.configure({"refuses": {ADDRESS: "complained"}})
    desk.want()
    desk.send()
    # It was about work: a person must know that it did not go out.
    assert (states(desk.store), desk.events()) == (["failed"], 1)
    assert desk.suppressed() == [("unsubscribed", "пожаловался на спам")]


@pytest.mark.parametrize(("state", "words"), [("bounced", "ушло, но не дошло"), ("delivered", "ушло: сказал")])
def test_what_nobody_knew_is_told_as_it_was(desk: Desk, state: str, words: str) -> None:
    desk.want()
    desk.send()
    with desk.store.write() as connection:
        connection.execute(update(outbox).values(state="unknown"))
    desk.hear(state)
    with desk.store.read() as connection:
        told = connection.execute(select(outbox.c.result).where(outbox.c.kind == "send_letter")).scalar_one()
    assert words in json.loads(told)["told"]


def test_an_address_that_does_not_exist_is_left_alone(desk: Desk) -> None:
    desk.go.configure({"refuses": {ADDRESS: "invalid"}})
    desk.want()
    desk.send()
    assert (states(desk.store), [one for one, _ in desk.suppressed()]) == (["failed"], ["refused"])


def test_a_lost_answer_is_looked_for_in_the_list_of_events(desk: Desk) -> None:
    desk.lose()
    desk.want()
    desk.send()
    assert states(desk.store) == ["doubt"]
    desk.stand_ins.timeline.advance(5)
    assert desk.send(10) == 0, "the list is being made"
    assert desk.send(30) == 1
    assert (states(desk.store)[0], len(desk.go.letters)) == ("done", 1)
    assert desk.kept() == ("sent", desk.go.letters[0].job_id)
    assert desk.go.dumps == {}


def test_what_the_service_does_not_know_is_left_to_a_person(desk: Desk) -> None:
    desk.lose("broken")
    desk.want()
    desk.send()
    for _ in range(8):
        desk.send(60)
    assert (states(desk.store), desk.go.letters) == (["unknown"], [])
    assert "решите сами, отправлять ли его снова" in errors(desk.store)[0]


def killed(desk: Desk, monkeypatch: pytest.MonkeyPatch, *, after: bool) -> None:
    """The process dies while a letter leaves, ``after`` the service has taken it or before anything was kept."""
    deliver, begin = desk.port._service.deliver, desk.memory.begin

    def taken(letter: Letter) -> str:
        deliver(letter)
        raise KeyboardInterrupt

    def nothing(letter: Any) -> Any:
        raise KeyboardInterrupt

    target, name, dies = (desk.port._service, "deliver", taken) if after else (desk.memory, "begin", nothing)
    monkeypatch.setattr(target, name, dies)
    desk.want()
    with pytest.raises(KeyboardInterrupt):
        desk.send()
    monkeypatch.setattr(target, name, deliver if after else begin)
    assert states(desk.store) == ["sending"]
    assert ChannelSender(desk.own, desk.port, desk.hands, desk.hands).recover() == 1


def test_what_was_taken_when_the_process_died_is_not_sent_again(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(desk, monkeypatch, after=True)
    desk.stand_ins.timeline.advance(5)
    for _ in range(3):
        desk.send(30)
    assert (states(desk.store)[0], len(desk.go.letters), desk.kept()[0]) == ("done", 1, "sent")


def test_what_had_not_left_when_the_process_died_is_sent(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(desk, monkeypatch, after=False)
    for _ in range(3):
        desk.send(30)
    assert (states(desk.store)[0], len(desk.go.letters)) == ("done", 1)


def test_a_webhook_settles_what_was_in_doubt(desk: Desk) -> None:
    desk.lose()
    desk.want()
    desk.send()
    assert desk.hear("delivered")
    assert desk.send(10) == 1
    assert (states(desk.store)[0], len(desk.go.letters), desk.kept()) == ("done", 1, ("delivered", "job"))
    assert not any("event-dump" in one.path for one in desk.go.requests)


def test_a_webhook_settles_what_was_left_to_a_person(desk: Desk) -> None:
    desk.lose()
    desk.want()
    desk.send()
    with desk.store.write() as connection:
        connection.execute(outbox.update().values(state="unknown", error="неизвестно"))
    assert desk.hear("delivered")
    assert (states(desk.store), errors(desk.store)) == (["done"], [""])


def test_the_link_of_a_letter_whose_answer_was_lost_works(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    config = rule_engine().config
    bridge = config.bridge.model_copy(update={"public_url": "https://bridge.example"})
    engine = replace(rule_engine(), config=replace(config, bridge=bridge))
    monkeypatch.setattr(desk.port, "_rule_engine", lambda: engine)
    (desk.port._templates.folder / "реклама.txt").write_text("Тема: Скидки\n\n{{ отписка }}\n", "utf-8")
    desk.lose()
    desk.want("реклама", service=False)
    desk.send()
    text = desk.go.letters[0].message["body"]["plaintext"]
    token = text.strip().rpartition("/")[2]
    assert Unsubscribing(desk.store).letter(token) is not None


# --- the webhook's key ------------------------------------------------------------------------------------------------


def test_a_webhook_is_proven_as_the_stand_in_signs_it(desk: Desk) -> None:
    desk.want()
    desk.send()
    desk.go.configure({"webhook_url": "http://127.0.0.1:9/nobody"})
    hook = desk.go._webhook(desk.go.letters[0], "hard_bounced", "550 Нет такого")
    secrets = {"unisender_go_key": desk.go.key}
    reception = receive_post("unisender_go", hook.body, kind="application/json", secrets=secrets)
    (status,) = reception.outcomes
    assert isinstance(status, DeliveryStatus)
    assert (status.state, status.outbox_id, status.reason) == ("bounced", "1", "550 Нет такого")
    forged = receive_post("unisender_go", hook.forged_body, kind="application/json", secrets=secrets)
    assert forged.kind == "refused"
