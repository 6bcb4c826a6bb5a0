"""The link in a letter: looking at it changes nothing, a click unsubscribes, strangers learn nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from support.pages import Pages
from werkzeug.test import TestResponse

from amo_bridge.channels.mail_log import MailMemory, SentLetter
from amo_bridge.clock import SystemClock
from amo_bridge.errors import StoreUnavailable
from amo_bridge.storage.database import AccountStore, Store
from amo_bridge.storage.tables import events, suppressed

TOKEN = "Abcdefgh-_345678"


class Mailbox:
    """A letter that went out, and the pages of the bridge that sent it."""

    def __init__(self, folder: Path) -> None:
        pages = Pages.in_folder(folder)
        self.store: Store = pages.office.store
        self.account = pages.meet_account()
        letter = SentLetter(1, 7, 55, "digest", "утепляющая/1", "", "<1@agency.example>", TOKEN)
        memory = MailMemory(AccountStore(self.store, self.account), SystemClock())
        memory.begin(letter)
        with self.store.write() as connection:
            memory.keep(connection, letter.outbox_id)
        self.client: FlaskClient = pages.app.test_client()

    def counts(self) -> tuple[int, int]:
        """Suppressed addresses and events that tell of it."""
        with self.store.read() as connection:
            count = select(func.count())
            return (
                connection.execute(count.select_from(suppressed)).scalar_one(),
                connection.execute(count.select_from(events).where(events.c.key.like("unsubscribed:%"))).scalar_one(),
            )


@pytest.fixture
def mailbox(tmp_path: Path) -> Mailbox:
    return Mailbox(tmp_path)


def test_looking_at_the_link_shows_a_button_and_changes_nothing(mailbox: Mailbox) -> None:
    """Mail scanners follow every link."""
    answer = mailbox.client.get(f"/u/{TOKEN}")
    assert answer.status_code == 200
    assert '<form method="post"><button type="submit">Отписаться</button></form>' in answer.text
    assert mailbox.client.head(f"/u/{TOKEN}").status_code == 200
    assert mailbox.counts() == (0, 0)


@pytest.mark.parametrize("form", [{}, {"List-Unsubscribe": "One-Click"}])
def test_a_click_and_a_mail_program_unsubscribe_at_once_and_once(mailbox: Mailbox, form: dict[str, str]) -> None:
    for _ in range(3):
        answer = mailbox.client.post(f"/u/{TOKEN}", data=form)
        assert (answer.status_code, "Вы отписаны" in answer.text) == (200, True)
        assert_needs_no_cookie(answer)
    assert mailbox.counts() == (1, 1)
    with mailbox.store.read() as connection:
        row = connection.execute(select(suppressed)).one()
        event = connection.execute(select(events.c.deal_id, events.c.account)).one()
    assert (row.account, row.address_key, row.reason) == (mailbox.account, "digest", "unsubscribed")
    assert tuple(event) == (7, mailbox.account)


def assert_needs_no_cookie(answer: TestResponse) -> None:
    assert "Set-Cookie" not in answer.headers
    assert "Location" not in answer.headers


@pytest.mark.parametrize("token", ["x" * 16, "x", "x" * 500, TOKEN[:-1], TOKEN + "x", "..%2f..%2f", "%00" * 16])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_guessed_link_tells_nothing(mailbox: Mailbox, method: str, token: str) -> None:
    answer = mailbox.client.open(f"/u/{token}", method=method)
    assert answer.status_code == 404
    assert mailbox.counts() == (0, 0)


def test_the_page_speaks_english_to_whoever_has_chosen_it(mailbox: Mailbox) -> None:
    mailbox.client.set_cookie("language", "en")
    assert "Unsubscribe?" in mailbox.client.get(f"/u/{TOKEN}").text


def test_while_the_store_is_silent_nobody_is_told_that_he_is_unsubscribed(
    mailbox: Mailbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(*_: object) -> None:
        raise StoreUnavailable("диск полон")

    monkeypatch.setattr("amo_bridge.channels.mail_log.Unsubscribing.unsubscribe", silent)
    answer = mailbox.client.post(f"/u/{TOKEN}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert "Сейчас не получилось" in answer.text
    assert "диск" not in answer.text
