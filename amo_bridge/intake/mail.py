"""Letters to the agency's box, as bytes.

A machine's, a colleague's or an answer to a letter of ours is no enquiry.

A letter from the agency's own domain with somebody else's Reply-To is the site's form mailer: the client stands in
Reply-To and in lines like «Телефон: …». Phones are read above the quotation only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.utils import getaddresses
from html.parser import HTMLParser

from amo_bridge.intake.contacts import note, person_in, phones_in_text
from amo_bridge.intake.model import DeliveryStatus, Enquiry, EnquiryFile, NoEnquiry, Outcome, Outcomes, digest
from amo_bridge.intake.request import UnreadableBody, VendorRequest, VendorSettings, clean, decode
from amo_bridge.lazy.dataclasses import dataclass
from amo_bridge.text.addresses import mail_key

SOURCE = "mail"
_ID = re.compile(r"<[^<>\s]+@[^<>\s]+>")
_LABELLED = re.compile(r"^\s*[*•\-]?\s*([^\W\d_][^:\n]{0,40}?)\s*:\s*(\S.*)$")
_MACHINES = re.compile(
    r"^(mailer-daemon|postmaster|no-?reply|noreply|donotreply|do-not-reply|robot|notifications?)\b", re.I
)
_BOUNCED = re.compile(r"^(mailer-daemon|postmaster)\b", re.I)
_QUOTE = re.compile(
    r"""^\s*(?:>
      | -{2,}\s*(?:original\s+message|исходное\s+сообщение|пересланное\s+сообщение|forwarded\s+message)
      | (?:on\s.+\swrote|.{6,200}\s(?:пишет|писал\(а\)|писал|писала|написал|написала|wrote))\s*:\s*$
      | (?:от|from):\s.+@.+$
      | _{10,}\s*$)""",
    re.IGNORECASE | re.VERBOSE,
)
_OWN_MARK = re.compile(r"\+((?:out-|d)?\d+)@")
_BLOCKS = {"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "table", "blockquote"}
_INVISIBLE = {"style", "script", "head", "title"}
_FINAL_RECIPIENT = re.compile(r"(?im)^(?:final|original)-recipient:\s*[^;\n]*;\s*(\S+)")


ANSWERS_NOBODY = "Answers-Nobody"
"""Kept beside a letter whose «In-Reply-To» names no letter of the bridge: it may be an enquiry all the same."""
# Whoever writes from there is no colleague because we have an address there too.
_PUBLIC_DOMAINS = frozenset({
    "gmail.com", "googlemail.com", "mail.ru", "bk.ru", "list.ru", "inbox.ru", "internet.ru", "yandex.ru", "ya.ru",
    "yandex.com", "yandex.kz", "yandex.by", "rambler.ru", "outlook.com", "hotmail.com", "live.com", "icloud.com",
    "me.com", "yahoo.com", "proton.me", "vk.com",
})  # fmt: skip


def of_mail(request: VendorRequest, settings: VendorSettings) -> Outcomes:
    """One letter a request."""
    letter = parsed(request.body)
    return [outcome_of(letter, request.body, settings, is_answer=not request.header(ANSWERS_NOBODY))]


@dataclass(frozen=True)
class Attachment:
    """A file of a letter."""

    name: str
    content_type: str
    content: bytes


@dataclass(frozen=True)
class ClientLetter:
    """What a letter says, whoever wrote it.

    ``key``: its Message-ID, or a digest. ``answers``: the Message-IDs that it refers to, the nearest first. ``mark``:
    what stands behind the plus of our address. ``recipients``: To and Cc. ``words``: what the sender wrote himself.
    ``files``: by name and size; see ``attachments``.
    """

    key: str
    name: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    words: str
    answers: tuple[str, ...]
    mark: str
    files: tuple[EnquiryFile, ...]


def read_letter(letter: Message, raw: bytes, settings: VendorSettings) -> ClientLetter:
    """What a letter says. ``raw``: the bytes that it was parsed from."""
    name, sender = _first_address(letter, "From")
    text, files = _content(letter)
    near, far = _ID.findall(header(letter, "In-Reply-To")), _ID.findall(header(letter, "References"))
    to = (mail_key(one) for field in ("To", "Cc") for _, one in getaddresses([header(letter, field)]))
    return ClientLetter(
        key=_key(letter, raw),
        name=name,
        sender=sender,
        recipients=tuple(dict.fromkeys(address for address in to if address)),
        subject=" ".join(header(letter, "Subject").split()),
        words=above_quotation(text) or text,
        answers=tuple(dict.fromkeys([*near, *reversed(far)])),
        mark=_mark_of(letter, _own_domains(letter, settings)),
        files=tuple(files),
    )


def parsed(raw: bytes) -> Message:
    """The letter, which takes a second or two if it is big. Raises UnreadableBody."""
    letter = message_from_bytes(raw)
    if not letter.keys():
        raise UnreadableBody("это не письмо")
    return letter


def _key(letter: Message, raw: bytes) -> str:
    return next(iter(_ID.findall(header(letter, "Message-ID"))), "") or f"letter:{digest(raw.decode('latin-1'))}"


def _own_domains(letter: Message, settings: VendorSettings) -> set[str]:
    told = {domain.casefold() for domain in settings.own_domains}
    return told or _domains_of(letter, "Delivered-To", "To")


def outcome_of(letter: Message, raw: bytes, settings: VendorSettings, *, is_answer: bool = True) -> Outcome:
    """What a letter means. ``is_answer``: it may be one to a letter of ours, by its own words."""
    key = _key(letter, raw)
    name, sender = _first_address(letter, "From")
    own = _own_domains(letter, settings) - _PUBLIC_DOMAINS
    if sender and sender in (mail_key(one) for _, one in getaddresses([header(letter, "Delivered-To")])):
        return NoEnquiry("письмо самому себе", key=key)
    if (bounce := _bounce(letter, sender, key)) is not None:
        return bounce
    # The site's form mailer is a program too, but the client speaks by it.
    if reason := _machine_reason(letter, "" if _domain(sender) in own else sender):
        return NoEnquiry(reason, key=key)
    answers = _ID.findall(f"{header(letter, 'References')} {header(letter, 'In-Reply-To')}")
    ours = (one for one in reversed(answers) if is_answer and _domain(one.strip("<>")) in own)
    if answered := next(ours, ""):
        return NoEnquiry("ответ на наше письмо: сделка известна, это не новое обращение", key=key, answer_to=answered)
    if is_answer and (mark := _mark_of(letter, own)):
        words = "ответ на наше письмо, узнан по адресу: это не новое обращение"
        return NoEnquiry(words, key=key, link_param=mark)
    text, files = _content(letter)
    own_words = above_quotation(text)
    subject = " ".join(header(letter, "Subject").split())
    labelled = {match[1]: match[2] for line in own_words.splitlines() if (match := _LABELLED.match(line))}
    reply_name, reply_to = _first_address(letter, "Reply-To")
    if _domain(sender) in own:
        is_form = bool(reply_to) and _domain(reply_to) not in own
        form = person_in(labelled, settings)
        emails = tuple(dict.fromkeys([*([reply_to] if is_form else []), *form.emails]))
        emails = tuple(address for address in emails if _domain(address) not in own)
        if not is_form and not emails and not form.phones:
            return NoEnquiry("письмо от своих", key=key)
        name, phones = form.name or (reply_name if is_form else ""), form.phones
        utm, roistat, page = form.utm, form.roistat_visit, form.page
    else:
        emails = (reply_to or sender,) if (reply_to or sender) else ()
        if sender and sender not in emails and not _MACHINES.match(sender):
            emails = (sender, *emails)
        utm, roistat, page, phones = {}, None, None, ()
    return Enquiry(
        source=SOURCE,
        key=key,
        name=name or None,
        phones=phones or phones_in_text(own_words, settings.home),
        emails=emails,
        text=note([f"Тема: {subject}" if subject else "", own_words or text], files) or "Пустое письмо",
        files=tuple(files),
        utm=utm,
        roistat_visit=roistat,
        page=page,
    )


def header(letter: Message, name: str) -> str:
    """The first header of this name, decoded; raw bytes as UTF-8 or windows-1251. Empty if there is none."""
    raw = next((value for key, value in letter.raw_items() if key.casefold() == name.casefold()), "")
    text = decode(str(raw).encode("utf-8", "surrogateescape"))
    try:
        parts = decode_header(text)
    except HeaderParseError:
        return text
    texts = (part if isinstance(part, str) else decode(part, charset or "") for part, charset in parts)
    return clean("".join(texts)).replace("\r", "").replace("\n", " ").strip()


def above_quotation(text: str) -> str:
    """What the sender wrote himself."""
    lines: list[str] = []
    for line in text.splitlines():
        if _QUOTE.match(line):
            break
        lines.append(line.rstrip())
    return "\n".join(lines).strip()


def _first_address(letter: Message, name: str) -> tuple[str, str]:
    """(display name, address in lower case) of a header; empty where not told.

    The name is decoded after the parts are told apart: it may hold a comma or an «@».
    """
    raw = next((value for key, value in letter.raw_items() if key.casefold() == name.casefold()), "")
    text = decode(str(raw).encode("utf-8", "surrogateescape")).replace("\r", "").replace("\n", " ")
    for display, address in getaddresses([text]):
        if key := mail_key(address):
            parts = Message()
            parts["X"] = display
            return " ".join(header(parts, "X").split()), key
    return "", ""


def _domains_of(letter: Message, *names: str) -> set[str]:
    return {_domain(address) for name in names for _, address in getaddresses([header(letter, name)]) if "@" in address}


def _mark_of(letter: Message, own: set[str]) -> str:
    """What stands behind the plus of our address («info+d12345@…»), if it is a number of ours.

    Else empty: people mark their advertising so too.
    """
    names = ("Delivered-To", "X-Original-To", "To", "Cc")
    for _, address in (pair for name in names for pair in getaddresses([header(letter, name)])):
        if _domain(address) in own and (found := _OWN_MARK.search(address)):
            return found[1]
    return ""


def _domain(address: str) -> str:
    return address.rpartition("@")[2].casefold()


def _machine_reason(letter: Message, sender: str) -> str:
    """Why nobody is to be answered (Russian); empty for a person's letter."""
    automatic = header(letter, "Auto-Submitted").casefold()
    if automatic and not automatic.startswith("no"):
        return "автоответ, а не человек"
    if header(letter, "X-Autoreply") or header(letter, "X-Autorespond"):
        return "автоответ, а не человек"
    if header(letter, "Precedence").casefold() in ("bulk", "list", "junk", "auto_reply"):
        return "рассылка или автоответ, а не человек"
    if header(letter, "List-Unsubscribe") or header(letter, "List-Id"):
        return "рассылка, а не обращение"
    if _MACHINES.match(sender) and not header(letter, "Reply-To"):
        return "письмо от программы"
    return ""


def _bounce(letter: Message, sender: str, key: str) -> Outcome | None:
    """A letter of ours that came back."""
    is_report = letter.get_content_type() == "multipart/report"
    if not is_report and not _BOUNCED.match(sender):
        return None
    whole = "\n".join(_report_parts(letter))
    ids = [one for one in _ID.findall(whole) if one != key]
    address = _FINAL_RECIPIENT.search(whole)
    if not is_report or not (ids or address):
        return NoEnquiry("письмо о недоставке", key=key)
    is_final = re.search(r"(?im)^action:\s*failed", whole) is not None or re.search(r"(?im)^status:\s*5\.", whole)
    return DeliveryStatus(
        source=SOURCE,
        key=key,
        state="bounced" if is_final else "failed",
        vendor_id=ids[-1] if ids else None,
        address=mail_key(address[1]) if address else None,
        reason="письмо вернулось" if is_final else "письмо задерживается",
    )


def _report_parts(letter: Message) -> Iterator[str]:
    for part in letter.walk():
        if part.get_content_maintype() == "message" or part.get_content_type() == "text/rfc822-headers":
            yield part.as_string()


def attachments(raw: bytes) -> Iterator[Attachment]:
    """The files of a letter. Raises UnreadableBody."""
    for part in parsed(raw).walk():
        name = _file_name(part)
        if not part.is_multipart() and (part.get_content_disposition() == "attachment" or name):
            payload = part.get_payload(decode=True)
            content = payload if isinstance(payload, bytes) else b""
            yield Attachment(name or "вложение", part.get_content_type(), content)


def _content(letter: Message) -> tuple[str, list[EnquiryFile]]:
    plain: list[str] = []
    html: list[str] = []
    files: list[EnquiryFile] = []
    for part in letter.walk():
        if part.is_multipart():
            continue
        name = _file_name(part)
        payload = part.get_payload(decode=True)
        raw = payload if isinstance(payload, bytes) else b""
        is_attached = part.get_content_disposition() == "attachment" or name
        if is_attached or part.get_content_type() not in ("text/plain", "text/html"):
            if is_attached:
                files.append(EnquiryFile(name or "вложение", size=len(raw)))
        elif part.get_content_type() == "text/html":
            html.append(_words_of_html(decode(raw, part.get_content_charset() or "")))
        else:
            plain.append(decode(raw, part.get_content_charset() or ""))
    text = "\n".join(plain).strip() or "\n".join(html).strip()
    return text.replace("\r\n", "\n").replace("\r", "\n"), files


def _file_name(part: Message) -> str:
    """The name of an attachment, however mail programs write it.

    RFC 2231, RFC 2047, raw bytes.
    """
    raw = next((str(value) for key, value in part.raw_items() if key.casefold() == "content-disposition"), "")
    if not raw.isascii():
        # Only here: few mail programs write so, and it takes all of werkzeug.
        from werkzeug.http import parse_options_header

        options = parse_options_header(decode(raw.encode("utf-8", "surrogateescape")))[1]
        return str(options.get("filename", ""))
    try:
        file_name = part.get_filename() or ""
    except (UnicodeError, LookupError, ValueError):
        return "вложение"
    name = Message()
    name["X"] = str(file_name).replace("\r", " ").replace("\n", " ")
    return header(name, "X")


class _Words(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _INVISIBLE:
            self._hidden += 1
        elif tag in _BLOCKS:
            self.parts.append("\n> " if tag == "blockquote" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _INVISIBLE:
            self._hidden = max(0, self._hidden - 1)
        elif tag in _BLOCKS and tag != "br":
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.parts.append(" ".join(data.split()) + (" " if data[-1:].isspace() else "") if data.strip() else " ")


def _words_of_html(html: str) -> str:
    reader = _Words()
    reader.feed(html)
    reader.close()
    lines = (line.strip() for line in "".join(reader.parts).splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
