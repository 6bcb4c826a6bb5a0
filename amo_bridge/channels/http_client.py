"""HTTP client of vendors' APIs: every failure is a ChannelError that says what is to be done."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from functools import cache
from io import SEEK_END, BytesIO
from typing import TYPE_CHECKING, Any, BinaryIO

from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    # Imported with the first client: commands that ask nobody know the vendors all the same.
    from requests import PreparedRequest, Response, Session

TIMEOUT = (10.0, 30.0)
"""Seconds to connect, seconds to answer."""
NOT_LET_IN = (401, 403)
NOT_FOUND = 404
TOO_MANY = 429
LONGEST_WORDS = 200
UploadedFile = tuple[str, bytes, str]
"""Name, content, content type."""


class Multipart:
    """A form with a file in it, read from the disk while it is sent. ``fields``: what goes with the file."""

    def __init__(self, fields: Mapping[str, str], name: str, file_name: str, file: BinaryIO) -> None:
        boundary = secrets.token_hex(16)
        self.content_type = f"multipart/form-data; boundary={boundary}"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields.items()
        ]
        shown = file_name.replace('"', "%22").replace("\r", " ").replace("\n", " ")
        parts.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{shown}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        size = file.seek(0, SEEK_END)
        file.seek(0)
        head, tail = "".join(parts).encode(), f"\r\n--{boundary}--\r\n".encode()
        self._parts: list[BinaryIO] = [BytesIO(head), file, BytesIO(tail)]
        self.len = len(head) + size + len(tail)
        """As requests asks for a length."""

    def read(self, size: int = -1) -> bytes:
        while self._parts:
            if piece := self._parts[0].read(size):
                return piece
            self._parts.pop(0)
        return b""


Content = bytes | BinaryIO | Multipart


@cache
def _session_class() -> type[Session]:
    from requests import Session

    class OwnHeaders(Session):
        """``own``: headers of every request, keys among them; another host, to which it is sent on, sees none."""

        def __init__(self, own: Mapping[str, str]) -> None:
            super().__init__()
            self._own = own
            self.headers.update(own)

        def rebuild_auth(self, prepared_request: PreparedRequest, response: Response) -> None:
            super().rebuild_auth(prepared_request, response)  # type: ignore[no-untyped-call]
            if self.should_strip_auth(response.request.url, prepared_request.url):  # type: ignore[no-untyped-call]
                for name in self._own:
                    prepared_request.headers.pop(name, None)

    return OwnHeaders


def _session(own: Mapping[str, str]) -> Session:
    make: Any = _session_class()
    session: Session = make(own)
    return session


class HttpClient:
    """``name``: the vendor's, as people read it, one that Russian does not decline. ``secret`` is shown in no error.
    ``ca``: a file with the certificates to trust instead of the system's."""

    def __init__(
        self,
        name: str,
        url: str,
        secret: str,
        *,
        headers: Mapping[str, str] | None = None,
        proxy: str | None = None,
        ca: str | None = None,
        timeout: tuple[float, float] = TIMEOUT,
    ) -> None:
        self._name = name
        self._url = url
        self._secret = secret
        self._timeout = timeout
        self._session = _session(headers or {})
        # Neither proxies of the environment nor a netrc: the config says how the vendor is reached.
        self._session.trust_env = False
        if ca:
            self._session.verify = ca
        if proxy:
            self._session.proxies = {"http": proxy, "https": proxy}

    def request(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, UploadedFile] | None = None,
        headers: Mapping[str, str | None] | None = None,
        content: Content | None = None,
    ) -> Response:
        """The answer, whatever its status. ``body`` goes as JSON, ``form`` as a form, with ``files`` as one of several
        parts, ``content`` as it is; a header that is None is left out. ``path``: a whole address goes to another host.
        Raises ChannelDown if nothing was sent, ChannelUncertain if it may have been."""
        from requests import exceptions as failures

        url = path if "://" in path else f"{self._url}{path}"
        data: Any = form if content is None else content
        try:
            return self._session.request(
                method, url, json=body, data=data, files=files, headers=headers, timeout=self._timeout
            )
        except (
            failures.ConnectTimeout,
            failures.ProxyError,
            failures.SSLError,
            failures.InvalidSchema,
            failures.InvalidURL,
        ) as error:
            raise ChannelDown(f"до {self._name} не достучаться: {self._hidden(error)}") from None
        except failures.ConnectionError as error:
            kind = ChannelDown if "NewConnectionError" in repr(error) else ChannelUncertain
            raise kind(f"связь с {self._name} прервалась: {self._hidden(error)}") from None
        except failures.RequestException as error:
            raise self.unreadable(error) from None
        except ValueError as error:
            # A host that is none, or a key with letters that no header can carry.
            words = f"запрос к {self._name} не составить, проверьте адрес (api) и ключ: {self._hidden(error)}"
            raise ChannelDown(words) from None

    def unreadable(self, error: Exception) -> ChannelError:
        """A read that took too long, or an answer that is no JSON: who knows what became of it."""
        return ChannelUncertain(f"{self._name} не ответил как надо: {self._hidden(error)}")

    def ask(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, UploadedFile] | None = None,
        headers: Mapping[str, str | None] | None = None,
        content: Content | None = None,
    ) -> Any:
        """The JSON of a 2xx answer; None for 404 to a GET. Raises ChannelError, by the status."""
        return self.json_of(self.request(method, path, body, form=form, files=files, headers=headers, content=content))

    def json_of(self, response: Response) -> Any:
        """As ``ask``, of an answer that is there already."""
        if response.ok:
            try:
                return response.json()
            except ValueError as error:
                raise self.unreadable(error) from None
        if response.request.method == "GET" and response.status_code == NOT_FOUND:
            return None
        raise self._refusal(response)

    def _refusal(self, response: Response) -> ChannelError:
        status = response.status_code
        words = f"{self._name}: {status} {self._hidden(response.text)[:LONGEST_WORDS]}".strip()
        if status in NOT_LET_IN:
            return ChannelDown(words)
        if status == TOO_MANY:
            after = response.headers.get("Retry-After", "")
            return ChannelBusy(words, retry_after=float(after) if after.isdecimal() else None)
        return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)

    def _hidden(self, error: object) -> str:
        return str(error).replace(self._secret, "***") if self._secret else str(error)
