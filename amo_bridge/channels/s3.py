"""S3-compatible document storage: requests signed by AWS Signature Version 4, which all of them take.

There are no folders: a deal's files begin with its number. A bucket is closed, so people open files by the bridge's own
page, which leads to an address that works for some minutes.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from amo_bridge.channels.http_client import Content, HttpClient
from amo_bridge.channels.storage_services import DealFolder, LocalCopy, NameTaken
from amo_bridge.config.channels import S3_SECRET, S3Section
from amo_bridge.errors import ChannelBusy, ChannelDown, ChannelError, ChannelRefused, ChannelUncertain

if TYPE_CHECKING:
    from requests import Response

TIMEOUT = (10.0, 600.0)
# One PUT takes no more, at AWS and at the others.
LARGEST_OBJECT = 5 << 30
EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
LINK_SECONDS = 600
MD5_HEADER = "x-amz-meta-md5"
ALGORITHM = "AWS4-HMAC-SHA256"
DENIED = ("AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch", "AllAccessDisabled")


class Signer:
    """AWS Signature Version 4 (AWS docs, sigv4-create-canonical-request; sigv4-query-string-auth)."""

    def __init__(self, key: str, secret: str, region: str) -> None:
        self._key = key
        self._secret = secret
        self._region = region

    def headers(
        self, method: str, url: str, sha256: str, more: Mapping[str, str], at: datetime | None = None
    ) -> dict[str, str]:
        """The headers of a signed request; ``more`` are signed as well."""
        stamp = _stamp(at)
        host = urlsplit(url).netloc
        signed = {**more, "host": host, "x-amz-content-sha256": sha256, "x-amz-date": stamp}
        signature = self._signature(method, url, urlsplit(url).query, signed, sha256, stamp)
        names = ";".join(_names(signed))
        credential = f"{self._key}/{self._scope(stamp)}"
        told = f"{ALGORITHM} Credential={credential},SignedHeaders={names},Signature={signature}"
        return {name: value for name, value in signed.items() if name != "host"} | {"Authorization": told}

    def link(self, url: str, query: Mapping[str, str], seconds: int, at: datetime | None = None) -> str:
        """An address that anybody may read for so long."""
        stamp = _stamp(at)
        told = {
            **query,
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{self._key}/{self._scope(stamp)}",
            "X-Amz-Date": stamp,
            "X-Amz-Expires": str(seconds),
            "X-Amz-SignedHeaders": "host",
        }
        shown = canonical_query(told)
        signature = self._signature("GET", url, shown, {"host": urlsplit(url).netloc}, "UNSIGNED-PAYLOAD", stamp)
        return f"{url}?{shown}&X-Amz-Signature={signature}"

    def _scope(self, stamp: str) -> str:
        return f"{stamp[:8]}/{self._region}/s3/aws4_request"

    def _signature(self, method: str, url: str, query: str, headers: Mapping[str, str], sha256: str, stamp: str) -> str:
        lowered = {name.lower(): " ".join(value.split()) for name, value in headers.items()}
        lines = "".join(f"{name}:{lowered[name]}\n" for name in _names(headers))
        request = "\n".join((method, urlsplit(url).path or "/", query, lines, ";".join(_names(headers)), sha256))
        digest = hashlib.sha256(request.encode()).hexdigest()
        text = "\n".join((ALGORITHM, stamp, self._scope(stamp), digest))
        key = f"AWS4{self._secret}".encode()
        for part in (stamp[:8], self._region, "s3", "aws4_request"):
            key = hmac.digest(key, part.encode(), "sha256")
        return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


def canonical_query(query: Mapping[str, str]) -> str:
    """Sorted and quoted, as it is signed and sent."""
    return "&".join(sorted(f"{quote(name, safe='~')}={quote(value, safe='~')}" for name, value in query.items()))


def _names(headers: Mapping[str, str]) -> list[str]:
    return sorted(name.lower() for name in headers)


def _stamp(at: datetime | None) -> str:
    return (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")


class S3:
    vendor = "s3"
    has_links = False

    def __init__(self, section: S3Section, secret: str) -> None:
        self._section = section
        self._signer = Signer(section.key, secret, section.region)
        self._bucket = f"{section.api}/{section.bucket}"
        self._http = HttpClient("S3", section.api, secret, timeout=TIMEOUT)

    def check(self) -> str:
        query = canonical_query({"list-type": "2", "max-keys": "1"})
        self._read(self._request("GET", f"{self._bucket}?{query}"))
        return f"S3 пускает, документы — в корзине «{self._section.bucket}»"

    def folder(self, deal_id: int, title: str, known: str) -> DealFolder:
        return DealFolder(f"{self._section.prefix}{deal_id}")

    def new_ref(self, folder: DealFolder, name: str) -> str:
        return f"{folder.ref}/{name}"

    def put(self, folder: DealFolder, ref: str, name: str, copy: LocalCopy) -> str:
        if copy.size > LARGEST_OBJECT:
            raise ChannelRefused("S3: файл больше 5 ГБ, одним запросом такой не передать")
        there = self._head(ref)
        if there is not None:
            if not _is_same(there, copy.size, copy.md5):
                raise NameTaken(f"«{name}» в хранилище уже есть")
            return ""
        headers = {
            "content-md5": base64.b64encode(bytes.fromhex(copy.md5)).decode(),
            "content-type": copy.content_type,
            MD5_HEADER: copy.md5,
        }
        with copy.path.open("rb") as opened:
            content = opened if copy.size else b""
            self._read(self._request("PUT", self._url(ref), headers=headers, sha256=copy.sha256, content=content))
        return ""

    def find(self, ref: str, size: int, md5: str) -> str | None:
        there = self._head(ref)
        return "" if there is not None and _is_same(there, size, md5) else None

    def open(self, deal_id: int, ref: str, name: str) -> Path | str:
        if self._head(ref) is None:
            raise ChannelRefused("этого файла в хранилище больше нет")
        saved = f"attachment; filename*=UTF-8''{quote(name, safe='')}"
        return self._signer.link(self._url(ref), {"response-content-disposition": saved}, LINK_SECONDS)

    def _url(self, ref: str) -> str:
        return f"{self._bucket}/{quote(ref, safe='/~')}"

    def _head(self, ref: str) -> Response | None:
        answer = self._request("HEAD", self._url(ref))
        if answer.status_code == 404:
            return None
        self._read(answer)
        return answer

    def _request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        sha256: str = EMPTY_SHA256,
        content: Content | None = None,
    ) -> Response:
        signed = self._signer.headers(method, url, sha256, headers or {})
        return self._http.request(method, url, headers=signed, content=content)

    def _read(self, answer: Response) -> None:
        if not answer.ok:
            raise _refusal(answer)


def _is_same(there: Response, size: int, md5: str) -> bool:
    told = there.headers.get(MD5_HEADER) or there.headers.get("ETag", "").strip('"')
    return there.headers.get("Content-Length") == str(size) and told == md5


def _refusal(answer: Response) -> ChannelError:
    status = answer.status_code
    found = re.search(r"<Code>(\w+)</Code>", answer.text)
    code = found[1] if found else ""
    words = f"S3: {status} {code}".strip()
    if code == "RequestTimeTooSkewed":
        return ChannelDown(f"{words}: часы сервера врут, проверьте время")
    if code == "NoSuchBucket" or (status == 404 and not code):
        return ChannelDown(f"{words}: такой корзины нет, проверьте bucket и api в [s3]")
    if status in (301, 307, 400) and code in ("PermanentRedirect", "AuthorizationHeaderMalformed", ""):
        return ChannelDown(f"{words}: проверьте region и api в [s3]")
    if status in (401, 403) or code in DENIED:
        return ChannelDown(f"{words}: ключ не пускает, проверьте key в [s3], {S3_SECRET} и права на корзину")
    if status in (429, 503) or code == "SlowDown":
        after = answer.headers.get("Retry-After", "")
        return ChannelBusy(words, retry_after=float(after) if after.isdecimal() else None)
    if code == "BadDigest":
        return ChannelBusy(f"{words}: файл испортился по дороге")
    return ChannelUncertain(words) if status >= 500 else ChannelRefused(words)
