"""Exceptions: what went wrong decides what is done; OS errors explained in Russian.

::

    BridgeError
    ├── CrmError                    amoCRM did not do what was asked
    │   ├── CrmTemporary            try again later; surely not applied (429)
    │   │   └── CrmUncertain        the answer was lost: look in amoCRM before sending again (timeout, reset, 5xx)
    │   ├── CrmRefused              never try the same again: amoCRM understood and said no (400, 404, 422)
    │   └── CrmStopped              stop everything and call a human
    │       ├── CrmUnauthorized     the token is dead (401)
    │       │   └── NotConnected    there is no token to send with: never connected, or disconnected in amoCRM
    │       ├── CrmForbidden        rights or scope are missing (403, JSON)
    │       ├── CrmUnpaid           the account is not paid (402)
    │       └── CrmBlocked          our address is blocked (403, HTML), or the account's page says so
    ├── ChannelError                a letter, a notice … did not surely go out
    │   ├── ChannelDown             nothing goes out by this channel now (dead server, wrong password): wait
    │   ├── ChannelBusy             this one later; surely not sent (4xx, 429)
    │   ├── ChannelUncertain        the answer was lost: perhaps it was sent
    │   └── ChannelRefused          never try the same again (5xx, 403)
    ├── LeadLost                    another process works for this account now: stop, write nothing
    ├── UnknownName                 a stage, field, user … of the config is not in the account
    │   └── AmbiguousName           … or several fit the name
    └── StoreUnavailable            the bridge's own database does not answer or refuses to write

    ConfigError                     stands apart, so that nothing that handles BridgeError swallows it
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class BridgeError(Exception):
    """Something outside the bridge, or between its parts, failed."""


class CrmError(BridgeError):
    """amoCRM did not do what was asked.

    ``status`` is the HTTP status (None when there was no answer), ``detail`` the vendor's own words, ``hint`` the
    OAuth hint when there is one, ``request_id`` the vendor's X-Request-Id, which its support asks for.
    """

    def __init__(
        self,
        detail: str,
        *,
        status: int | None = None,
        hint: str | None = None,
        request_id: str | None = None,
        method: str = "",
        path: str = "",
    ) -> None:
        self.detail = detail
        self.status = status
        self.hint = hint
        self.request_id = request_id
        self.method = method
        self.path = path
        where = f"{method} {path}: " if path else ""
        code = f"{status} " if status is not None else ""
        super().__init__(f"{where}{code}{detail}" + (f" ({hint})" if hint else ""))


class CrmTemporary(CrmError):
    """amoCRM is busy; the request was surely not applied. Wait ``retry_after`` seconds (None: a delay of your own)."""

    def __init__(self, detail: str, *, retry_after: float | None = None, **where: Any) -> None:
        super().__init__(detail, **where)
        self.retry_after = retry_after


class CrmUncertain(CrmTemporary):
    """No answer, or a 5xx: the write may have happened. A read may be repeated; a write must be looked for first."""


class Complaint(NamedTuple):
    """What amoCRM says is wrong with a part of an object: «custom_fields_values.0.field_id», «NotSupportedChoice»."""

    path: str
    code: str
    detail: str


class CrmRefused(CrmError):
    """amoCRM understood the request and refused it; the same request will be refused again.

    ``bad_items`` names the refused objects of a batch: request_id → the vendor's words. Empty when the answer
    does not say which ones were bad (then the batch has to be halved). ``complaints``: request_id → their bad parts.
    """

    def __init__(
        self,
        detail: str,
        *,
        bad_items: Mapping[str, str] | None = None,
        complaints: Mapping[str, Sequence[Complaint]] | None = None,
        **where: Any,
    ) -> None:
        super().__init__(detail, **where)
        self.bad_items: dict[str, str] = dict(bad_items or {})
        self.complaints: dict[str, tuple[Complaint, ...]] = {key: tuple(v) for key, v in (complaints or {}).items()}


class CrmStopped(CrmError):
    """Nothing may be sent until a human has acted: every further request would fail or make it worse."""


class CrmUnauthorized(CrmStopped):
    """401: the token is expired, revoked or foreign, and could not be renewed. Connect the account again."""


class NotConnected(CrmUnauthorized):
    """The account was never connected, or has been disconnected in amoCRM. Nothing was sent."""


class CrmForbidden(CrmStopped):
    """403 with JSON: the token's user lacks rights (administrator is needed), or the token lacks the scope."""


class CrmUnpaid(CrmStopped):
    """402: the account is not paid, or its plan does not include this function."""


class CrmBlocked(CrmStopped):
    """403 with HTML: our address is blocked after too many requests; or the page «аккаунт заблокирован»."""


class UnknownName(BridgeError):
    """A name of the config is not in the account. ``nearest`` is the closest right one, if any is close.

    ``kind`` says of what, in the genitive, for the message: «этапа», «поля», «пользователя» …
    """

    def __init__(self, kind: str, name: str, *, nearest: str | None = None) -> None:
        self.kind = kind
        self.name = name
        self.nearest = nearest
        super().__init__(f"{kind} «{name}» нет в аккаунте" + (f"; может быть, «{nearest}»?" if nearest else ""))


class AmbiguousName(UnknownName):
    """A name fits several things of the account; ``candidates`` are the full names one of which is meant."""

    def __init__(self, kind: str, name: str, candidates: Sequence[str]) -> None:
        self.candidates = list(candidates)
        self.kind = kind
        self.name = name
        self.nearest = None
        told = ", ".join(f"«{candidate}»" for candidate in candidates)
        BridgeError.__init__(self, f"для {kind} «{name}» в аккаунте есть несколько: {told}; напишите, какой из них")


class ChannelError(BridgeError):
    """A letter, a notice … did not surely go out. The text holds the vendor's own words.

    ``retry_after``: seconds that the vendor asks us to wait; None: a delay of our own.
    """

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ChannelDown(ChannelError):
    """Nothing goes out by this channel now: the server does not answer, or does not let us in. Nothing was sent."""


class ChannelBusy(ChannelError):
    """This one can't be taken now, others may be; surely not sent."""


class ChannelUncertain(ChannelError):
    """The answer was lost after all was said: perhaps it was sent, and nobody can look."""


class ChannelRefused(ChannelError):
    """The vendor understood and said no; the same will be refused again."""


class LeadLost(BridgeError):
    """Another process has taken the lead of this account: whatever is in hand is its business now."""


class StoreUnavailable(BridgeError):
    """The bridge's own store does not answer or refuses to write (full disk, lost database). Nothing was accepted."""


class ConfigError(Exception):
    """The config can't be used. ``problems`` are all of them at once, in Russian, each with block, line and advice."""

    def __init__(self, problems: Sequence[str]) -> None:
        self.problems = list(problems)
        super().__init__("\n".join(self.problems))


# Why the operating system would not, in Russian.

WORDS: Mapping[int, str] = {
    errno.EADDRINUSE: "он уже занят другой программой",
    errno.EADDRNOTAVAIL: "такого адреса у этой машины нет",
    errno.EACCES: "нет прав",
    errno.EPERM: "нет прав",
    errno.ENOENT: "такого файла или папки нет",
    errno.EISDIR: "это папка, а нужен файл",
    errno.ENOTDIR: "на пути стоит файл, а не папка",
    errno.EEXIST: "такой файл уже есть",
    errno.ENOSPC: "на диске нет места",
    errno.EROFS: "диск открыт только для чтения",
    errno.EIO: "диск не отвечает",
    errno.ENAMETOOLONG: "слишком длинное имя",
    socket.EAI_NONAME: "такого адреса нет",
}


def why_not(error: OSError) -> str:
    """What nobody has put into words here is told as the system tells it."""
    return WORDS.get(error.errno or 0) or error.strerror or str(error)
