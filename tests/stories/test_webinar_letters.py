"""The school's letters: invitations to the webinar again (W6), and who is told of a client's letter (W12).

The shipped example, a real mail server, the school's amoCRM, a running bridge.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.local_crm import LocalCrm, served
from support.mail_server import Post, post_office
from support.running_bridge import UNHURRIED, RunningBridge, wait_until
from support.webinar_samples import ACCOUNT, LONG, REPEAT, SCHOOL

from amo_bridge.config.loader import load
from amo_bridge.config.model import Config
from amo_bridge.demo.crm_user import CrmUser
from amo_bridge.sandbox.account_start import load_world

MANAGER, CLIENT = "Наталья Белова", "anna@client.example"
LOST = "Вебинары / Закрыто и не реализовано"
INVITED, AGAIN = "Приглашаем на повтор вебинара", "Ещё одно приглашение на вебинар"
WEDNESDAY = "2026-09-09T12:00"
WEEK = 7 * 86_400


@pytest.fixture
def sandbox() -> Iterator[LocalCrm]:
    """The school's amoCRM, on a Wednesday noon: letters wait for working time."""
    with served(load_world(ACCOUNT)) as crm:
        crm.control("POST", "clock", {"set": WEDNESDAY, "freeze": True})
        yield crm


@pytest.fixture
def post() -> Iterator[Post]:
    with post_office() as office:
        yield office


@pytest.fixture
def bridge(sandbox: LocalCrm, post: Post, tmp_path: Path, start_bridge: Callable[..., RunningBridge]) -> RunningBridge:
    """The example at work, with a mail server connected, at an address of its own: unsubscribing needs one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = int(listener.getsockname()[1])
    return start_bridge(config_with(sandbox.url, post.port, port, tmp_path), port=port).wait_ready()


def config_with(url: str, mail_port: int, own_port: int, folder: Path) -> Config:
    path = folder / "config.toml"
    section = f"""
[mail]
host = "127.0.0.1"
port = {mail_port}
tls = "none"
from = "Школа <info@school.example>"
templates = "{SCHOOL.parent.parent / "letters"}"
"""
    path.write_text(SCHOOL.read_text("utf-8") + section, "utf-8")
    told = {
        "AMO_BRIDGE_ACCOUNT_URL": url,
        "AMO_BRIDGE_DATA": str(folder / "data"),
        "AMO_BRIDGE_PUBLIC_URL": f"http://127.0.0.1:{own_port}",
    }
    config = load(path, told)
    return replace(config, account=config.account.model_copy(update={"requests_per_second": UNHURRIED}))


class School:
    """Everything that a letter passes on its way."""

    def __init__(self, office: CrmUser, bridge: RunningBridge, crm: LocalCrm, post: Post) -> None:
        self.office = office
        self.bridge = bridge
        self.crm = crm
        self.post = post

    def client(self, stage: str) -> int:
        contact = self.office.new_contact(MANAGER, "Анна", CLIENT)
        deal = self.office.new_deal(MANAGER, "anna, Анна", stage, contact, 1000)
        self.bridge.settle(self.crm)
        return deal

    def later(self, seconds: float) -> None:
        self.bridge.settle_at(self.crm, advance=seconds)

    def letters(self, at_least: int) -> list[tuple[str, str]]:
        """To whom and about what."""
        wait_until(lambda: len(self.post.taken) >= at_least, f"{at_least} letters have arrived")
        self.bridge.settle(self.crm)
        return list(zip(self.post.to, [str(one["Subject"]) for one in self.post.letters], strict=True))

    def reason(self, deal: int) -> str:
        return str(self.office.deal(deal)["_embedded"]["loss_reason"][0]["name"])


@pytest.fixture
def school(office: CrmUser, bridge: RunningBridge, sandbox: LocalCrm, post: Post) -> School:
    return School(office, bridge, sandbox, post)


def test_who_does_not_come_is_invited_once_more_and_the_deal_is_closed(school: School) -> None:
    deal = school.client(REPEAT)
    school.later(60)
    assert school.letters(1) == [(CLIENT, INVITED)]
    assert school.office.stage_of(deal) == REPEAT
    assert school.office.tasks(deal) == []
    school.later(WEEK)
    assert school.letters(2) == [(CLIENT, INVITED), (CLIENT, AGAIN)]
    assert (school.office.stage_of(deal), school.reason(deal)) == (LOST, "Без причины")
    school.later(WEEK)
    assert len(school.letters(2)) == 2


def test_who_came_is_not_invited_again(school: School) -> None:
    deal = school.client(REPEAT)
    school.later(60)
    assert len(school.letters(1)) == 1
    school.office.move(MANAGER, deal, LONG)
    school.bridge.settle(school.crm)
    school.later(WEEK)
    assert school.letters(1) == [(CLIENT, INVITED)]
    assert school.office.stage_of(deal) == LONG


@pytest.mark.parametrize("card", ["leads", "contacts"])
def test_the_manager_is_told_of_a_letter(card: str, school: School) -> None:
    deal = school.client(LONG)
    contact = school.office.deal(deal)["_embedded"]["contacts"][0]["id"]
    number = deal if card == "leads" else contact
    told = {"entity_type": card, "entity_id": number, "from_email": CLIENT, "subject": "Рассрочка", "user_id": 0}
    school.crm.control("POST", "ui/incoming_mail", told)
    # Letters are found by the look for missed changes alone.
    school.later(60)
    ((to, _),) = school.letters(1)
    assert to == "belova@school.example"
    (letter,) = school.post.letters
    assert "клиент написал на общую почту, ответьте ему. Тема: «Рассрочка»" in " ".join(letter.get_content().split())
