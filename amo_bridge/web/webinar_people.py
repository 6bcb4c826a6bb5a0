"""Who a person of a webinar is taken for: the contacts that somebody chooses among, and one that he names himself."""

from __future__ import annotations

import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from flask_babel import gettext as _

from amo_bridge.errors import BridgeError
from amo_bridge.mirror.contacts import ContactIndex, IndexedContact
from amo_bridge.web.office import PageAccount
from amo_bridge.webinars.imports.model import Kept

_NUMBER = re.compile(r"№?\s*(\d{1,15})")
_CARD = re.compile(r"/contacts/detail/(\d{1,15})/?")


class NotAContact(BridgeError):
    """What somebody typed names no contact of this account (in the reader's language)."""


def contacts_of(rows: Iterable[Kept], here: PageAccount) -> dict[int, IndexedContact]:
    """Those that the rows speak of, as far as they are known."""
    spoken_of = {
        number for kept in rows for number in (*kept.row.candidates, kept.said.contact_id, kept.contact_id) if number
    }
    return ContactIndex(here.store, here.key).get(spoken_of)


def contact_named(typed: str, account_url: str) -> int:
    """The number of the contact, typed as such or as the address of its card. Raises NotAContact."""
    text = typed.strip()
    if found := _NUMBER.fullmatch(text):
        return int(found[1])
    try:
        address = urlsplit(text if "//" in text else f"//{text}")
    except ValueError as error:
        raise NotAContact(_no_card()) from error
    card = _CARD.fullmatch(address.path)
    if card is None:
        raise NotAContact(_no_card())
    if address.netloc != urlsplit(account_url).netloc:
        raise NotAContact(_("Это ссылка на другой аккаунт, а нужен контакт этого."))
    return int(card[1])


def _no_card() -> str:
    return str(_("Нужен номер контакта или ссылка на его карточку в amoCRM."))
