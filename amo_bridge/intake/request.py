"""A vendor's request: bytes read as fields or JSON whatever their encoding, and what proves it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from html import unescape
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote_to_bytes

from amo_bridge.intake.model import EnquiryFile
from amo_bridge.lazy.dataclasses import dataclass

PATH_SECRET = "path_token"
"""The name of the secret end of an address among a saved request's secrets."""
MOST_FIELDS = 1_000
DEEPEST = 20
# Old Russian sites; whatever fits neither is windows-1251, in which every byte but one is a letter.
_ENCODINGS = ("utf-8", "cp1251")
_CHARSET = re.compile(r""";\s*charset\s*=\s*"?([^\s",;]*)""")
_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
# NUL can't be kept by PostgreSQL, half of a surrogate pair by nobody.
_UNKEEPABLE = re.compile("[\x00\ud800-\udfff]")
_LOOKS_LIKE_FORM = re.compile(rb"[\w%+.\[\]-]+=")
# JavaScript's old ``escape()``; and what browsers write for letters that a form's encoding has not.
_ESCAPED = re.compile(rb"%u([0-9a-fA-F]{4})")
_CHARACTER = re.compile(r"&#(\d{2,7});")
_SURROGATE_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")


class UnreadableBody(Exception):
    """The body is not what its vendor sends; the text (Russian) says why."""


@dataclass(frozen=True)
class VendorRequest:
    """A request as it came: nothing is decoded. ``received_at``: Unix seconds."""

    method: str
    body: bytes = b""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    path_secret: str | None = None
    received_at: float = 0.0

    def header(self, name: str) -> str:
        """Empty if it is not there. Names are compared without regard to case."""
        return next((value for key, value in self.headers.items() if key.casefold() == name.casefold()), "")

    @property
    def arguments(self) -> dict[str, str]:
        """The query's parameters, the first of each name."""
        arguments: dict[str, str] = {}
        for key, value in parse_qsl(self.query, keep_blank_values=True, errors="replace"):
            arguments.setdefault(key, value)
        return arguments


@dataclass(frozen=True)
class VendorSettings:
    """What a parser may know of the account.

    ``home``: the country of phones typed without a code. ``fields``: what is asked for (name, phone, email, text, key,
    page) → where it stands in the body. ``honeypot``: fields that only robots fill. ``origins``: the sites that may
    post, all if empty. ``thanks``: the page that a form leads to afterwards. ``group``: the VK community. ``forms``:
    the lead forms of VK Ads, all if empty.
    ``own_domains``: the agency's own mail domains. ``began_field``, ``least_seconds``: see SiteSection.
    """

    home: str = "RU"
    fields: Mapping[str, str] = field(default_factory=dict)
    honeypot: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    thanks: str = ""
    group: int | None = None
    forms: tuple[int, ...] = ()
    own_domains: tuple[str, ...] = ()
    began_field: str = ""
    least_seconds: int = 0
    secrets: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class FormFields:
    """The fields of a form in their order, the last of each name, and the files that came along."""

    values: Mapping[str, str]
    files: tuple[EnquiryFile, ...] = ()

    def get(self, *names: str) -> str:
        """The first of these that is filled, without regard to case; empty if none is."""
        folded = {key.casefold(): value for key, value in self.values.items()}
        return next((text for name in names if (text := folded.get(name.casefold(), "").strip())), "")


def clean(text: str) -> str:
    """Without what no store can keep."""
    joined = _SURROGATE_PAIR.sub(lambda pair: pair[0].encode("utf-16", "surrogatepass").decode("utf-16"), text)
    return _UNKEEPABLE.sub("", joined)


def decode(raw: bytes, charset: str = "") -> str:
    """The text: by the told charset, else UTF-8, else windows-1251. Never fails."""
    if raw.startswith(_UTF16_MARKS):
        charset = "utf-16"
    elif len(raw) > 1 and raw[:2].count(0) == 1:
        # A text begins with a Latin letter or a bracket: its zero tells the order of the bytes.
        charset = "utf-16-le" if raw[1] == 0 else "utf-16-be"
    if raw.startswith(b"\xef\xbb\xbf"):
        raw = raw[3:]
    for encoding in (charset, *_ENCODINGS) if charset else _ENCODINGS:
        try:
            return clean(raw.decode(encoding))
        except (UnicodeError, LookupError, ValueError):
            continue
    return clean(raw.decode("cp1251", "replace"))


def content_type(request: VendorRequest) -> tuple[str, str]:
    """The media type and its charset, both in lower case; empty where not told."""
    kind, _, options = request.header("Content-Type").casefold().partition(";")
    charset = _CHARSET.search(f";{options}")
    return kind.strip(), charset[1].strip() if charset else ""


def json_of(request: VendorRequest) -> dict[str, Any]:
    """The JSON object of the body. Raises UnreadableBody."""
    document = any_json(request)
    if not isinstance(document, dict):
        raise UnreadableBody("в теле не объект JSON")
    return document


def any_json(request: VendorRequest) -> Any:
    """The JSON of the body. Raises UnreadableBody."""
    text = decode(request.body, content_type(request)[1]).strip()
    if not text:
        raise UnreadableBody("тело пустое")
    try:
        return _cleaned(json.loads(text, parse_constant=_no_number))
    except (ValueError, RecursionError) as error:
        raise UnreadableBody("в теле не JSON") from error


def fields_of(request: VendorRequest) -> FormFields:
    """A form, urlencoded or multipart, or JSON taken for one («a[b][0]»). Raises UnreadableBody."""
    kind, charset = content_type(request)
    body = request.body.strip()
    if kind.startswith("multipart/") or (not kind and body.startswith(b"--")):
        return _multipart(request)
    if body[:3] == b"\xef\xbb\xbf" or body[:1] in (b"{", b"[") or body[:2] in _UTF16_MARKS or body[:1] == b"\0":
        try:
            return FormFields(dict(_flat("", any_json(request))))
        except UnreadableBody:
            if "json" in kind:
                raise
    if "json" in kind and body and not _LOOKS_LIKE_FORM.match(body):
        raise UnreadableBody("в теле не JSON")
    if not body:
        return FormFields(request.arguments)
    return FormFields(_urlencoded(body, charset))


def subtree(values: Mapping[str, str], root: str) -> dict[str, str]:
    """What stands inside the brackets of ``root``.

    «payment[amount]» is «amount», «payment[a][0]» is «a[0]».
    """
    inside: dict[str, str] = {}
    for key, value in values.items():
        if key.startswith(f"{root}[") and "]" in key:
            first, _, rest = key[len(root) + 1 :].partition("]")
            inside[first + rest] = value
    return inside


def text_at(document: Any, *steps: str | int) -> str:
    """The text or number at this place of a JSON document; empty for anything else."""
    for step in steps:
        if isinstance(step, str) and isinstance(document, dict):
            document = document.get(step)
        elif isinstance(step, int) and isinstance(document, list) and -len(document) <= step < len(document):
            document = document[step]
        else:
            return ""
    return as_text(document)


def as_text(value: Any) -> str:
    """A JSON value in words; empty for null, objects and lists."""
    if isinstance(value, bool):
        return "да" if value else "нет"
    if isinstance(value, str):
        return value.strip()
    return str(value) if isinstance(value, int | float) else ""


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list; one object counts as a list of one, anything else as none."""
    if isinstance(value, dict):
        return [value]
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def object_at(document: Any, *steps: str) -> dict[str, Any]:
    """The object at this place; an empty one if there is none."""
    for step in steps:
        document = document.get(step) if isinstance(document, dict) else None
    return document if isinstance(document, dict) else {}


def integer(value: Any) -> int:
    """A number however it is written («55», 55.0, ""); 0 for what is none."""
    try:
        return int(float(str(value).strip() or 0))
    except (ValueError, OverflowError):
        return 0


def _no_number(_: str) -> None:
    """NaN and Infinity are no JSON."""


def _cleaned(value: Any, depth: int = 0) -> Any:
    if depth > DEEPEST:
        return None
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        return {clean(key): _cleaned(item, depth + 1) for key, item in value.items()}
    return [_cleaned(item, depth + 1) for item in value] if isinstance(value, list) else value


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _flat(f"{name}[{key}]" if name else str(key), item)
    elif isinstance(value, list) and any(isinstance(item, dict | list) for item in value):
        for number, item in enumerate(value):
            yield from _flat(f"{name}[{number}]" if name else str(number), item)
    elif isinstance(value, list):
        yield name, ", ".join(text for item in value if (text := as_text(item)))
    else:
        yield name, as_text(value)


def _urlencoded(body: bytes, charset: str) -> dict[str, str]:
    pairs: list[tuple[bytes, bytes]] = []
    for part in body.split(b"&")[:MOST_FIELDS]:
        if part:
            key, _, value = part.partition(b"=")
            pairs.append((_unquoted(key), _unquoted(value)))
    charset = next((value.decode("ascii", "replace") for key, value in pairs if key == b"_charset_"), "") or charset
    encoding = _encoding([text for pair in pairs for text in pair], charset)
    return _merged([(decode(key, encoding), decode(value, encoding)) for key, value in pairs])


def _unquoted(text: bytes) -> bytes:
    plain = _ESCAPED.sub(lambda escape: chr(int(escape[1], 16)).encode("utf-8", "replace"), text)
    return unquote_to_bytes(plain.replace(b"+", b" "))


def _encoding(texts: Sequence[bytes], charset: str) -> str:
    """One form has one encoding: the told one if everything is readable by it."""
    whole = b"\n".join(texts)
    for encoding in filter(None, (charset, *_ENCODINGS)):
        try:
            whole.decode(encoding)
        except (UnicodeError, LookupError, ValueError):
            continue
        return encoding
    return "cp1251"


def _merged(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Several values of a name («menu[]», checkboxes) become one text."""
    merged: dict[str, str] = {}
    for key, value in pairs:
        name = key.removesuffix("[]").strip()
        before = merged.get(name, "")
        if before and value and before != value:
            merged[name] = f"{before}, {value}"
        else:
            merged[name] = value or before
    return {key: _CHARACTER.sub(lambda mark: unescape(mark[0]), value) for key, value in merged.items()}


def _multipart(request: VendorRequest) -> FormFields:
    """A multipart form, read by the e-mail parser: it forgives bare line feeds and a missing end.

    The boundary is the body's own, for some clients tell another one in the header (seen at Zadarma).
    """
    # Only here: most vendors send no such form, and of the forms only these have files.
    from email.message import Message
    from email.parser import BytesParser

    from werkzeug.http import parse_options_header

    body = request.body.lstrip(b"\r\n")
    first = body.split(b"\n", 1)[0].strip()
    if not first.startswith(b"--") or len(first) < 3 or len(first) > 202:
        raise UnreadableBody("в теле не multipart")
    boundary = first[2:].decode("latin-1").replace("\\", "\\\\").replace('"', '\\"')
    head = f'Content-Type: multipart/form-data; boundary="{boundary}"\r\n\r\n'.encode("latin-1")
    message: Message = BytesParser().parsebytes(head + body)
    payload = message.get_payload()
    parts = [part for part in payload if isinstance(part, Message)] if isinstance(payload, list) else []
    if not parts:
        raise UnreadableBody("в теле не multipart")
    raw: list[tuple[bytes, bytes]] = []
    files: list[EnquiryFile] = []
    for part in parts[:MOST_FIELDS]:
        disposition = next((text for name, text in part.raw_items() if name.casefold() == "content-disposition"), "")
        _, options = parse_options_header(decode(str(disposition).encode("utf-8", "surrogateescape")))
        content = part.get_payload(decode=True) or b""
        content = content if isinstance(content, bytes) else b""
        name = str(options.get("name", ""))
        if "filename" in options:
            if options["filename"] or content:
                files.append(EnquiryFile(clean(str(options["filename"])) or name, size=len(content)))
        elif name:
            # A part may have an encoding of its own; then it is as good as UTF-8 for the rest.
            own = part.get_content_charset("")
            raw.append((name.encode(), decode(content, own).encode() if own else content))
    encoding = _encoding([value for _, value in raw], content_type(request)[1])
    return FormFields(_merged([(key.decode(), decode(value, encoding)) for key, value in raw]), tuple(files))


# Is a request really the vendor's: secrets and signatures, compared in constant time.

Verdict = Literal["proven", "wrong", "closed"]
"""«closed»: nothing is configured by which it could be proven."""

Proof = Callable[[VendorRequest, VendorSettings], Verdict]


def same(one: str | bytes, other: str | bytes) -> bool:
    """Compared in a time that does not depend on where they differ."""
    return hmac.compare_digest(_bytes(one), _bytes(other))


def verdict(given: str, expected: str) -> Verdict:
    """«closed» when nothing is expected."""
    if not expected:
        return "closed"
    return "proven" if same(given, expected) else "wrong"


def hmac_hex(secret: str, text: bytes, algorithm: Literal["sha1", "sha256"]) -> str:
    """The signature as hexadecimal digits."""
    return hmac.new(secret.encode(), text, algorithm).hexdigest()


def header_secret(header: str, name: str) -> Proof:
    """The header repeats a secret that we gave the vendor (Telegram, MAX)."""

    def prove(request: VendorRequest, settings: VendorSettings) -> Verdict:
        return verdict(request.header(header), settings.secrets.get(name, ""))

    return prove


def body_signature(header: str, name: str, prefix: str = "") -> Proof:
    """The header holds HMAC-SHA256 of the raw body (Meta, Viber)."""

    def prove(request: VendorRequest, settings: VendorSettings) -> Verdict:
        secret = settings.secrets.get(name, "")
        if not secret:
            return "closed"
        return verdict(request.header(header).strip(), prefix + hmac_hex(secret, request.body, "sha256"))

    return prove


def basic_auth(name: str) -> Proof:
    """HTTP Basic; the secret is «user:password»."""

    def prove(request: VendorRequest, settings: VendorSettings) -> Verdict:
        secret = settings.secrets.get(name, "")
        if not secret:
            return "closed"
        scheme, _, given = request.header("Authorization").strip().partition(" ")
        if scheme.casefold() != "basic":
            return "wrong"
        try:
            pair = base64.b64decode(given.strip(), validate=True)
        except ValueError:
            return "wrong"
        return "proven" if same(pair, secret) else "wrong"

    return prove


def path_only(request: VendorRequest, settings: VendorSettings) -> Verdict:
    """The secret end of the address is all there is; who calls has compared it.

    See ``Vendor.needs_path_secret``.
    """
    return "proven"


@dataclass(frozen=True)
class SecretName:
    """A secret of a vendor. ``variable``: the environment variable. ``what``: what it is (Russian). ``or_else``: the
    variable of a channel that has the same secret."""

    name: str
    variable: str
    what: str
    or_else: str = ""


def md5_hex(data: bytes) -> str:
    """MD5, where a vendor signs by it."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def any_is(value: str, secrets: Iterable[str]) -> bool:
    """Is it one of these secrets? All are compared."""
    return any([same(value, secret) for secret in secrets])


def any_value_is(secret: str, values: Mapping[str, str]) -> bool:
    """Is it the value of any of these? All are compared."""
    return any([same(value.strip(), secret) for value in values.values()])


def _bytes(text: str | bytes) -> bytes:
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
