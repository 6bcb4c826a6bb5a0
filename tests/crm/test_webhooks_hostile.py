"""No body breaks the decoder: whatever comes, events come out, everything is kept, and the cost stays linear."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote_plus, unquote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.step_count import assert_linear

from amo_bridge.crm import webhooks
from amo_bridge.events import Unrecognised
from amo_bridge.events.base import fingerprint, from_json, to_json

SAMPLES = [sample.read_bytes() for sample in sorted((Path(__file__).parents[1] / "payloads").glob("*.form"))]

ROOTS = ["leads", "contacts", "customers", "task", "unsorted", "catalogs", "message", "outgoing_message", "talk"]
ACTIONS = ["add", "update", "delete", "restore", "status", "responsible", "note", "mail_in", "chat", "explode"]
KEYS = sorted(
    {
        word
        for sample in SAMPLES
        for part in sample.split(b"&")
        for word in re.findall(r"\w+", unquote(part.partition(b"=")[0].decode()))
    }
    | {"action_close", "result", "accept_result", "tags", "linked_company_id", "user_id", "1", "5"}
)
VALUES = st.sampled_from(["1", "2", "5", "10", "12", "102", "25", "0", "-1", "", "null", "5.0", "9" * 40, "1726572758"])
TEXTS = st.sampled_from(["contact", "company", "incoming", "accept", "drive/a/b/c%20d.pdf", '{"PHONE":1}', "{", "%ff"])
STEPS = st.sampled_from([*KEYS, ""])
PARTS = st.tuples(st.lists(STEPS, max_size=5), VALUES | TEXTS | st.text(max_size=4))


@st.composite
def forms_of_real_words(draw: st.DrawFn) -> bytes:
    """A form built from amoCRM's own key words, in shapes that amoCRM never sends."""
    parts = []
    for _ in range(draw(st.integers(1, 8))):
        root, action = draw(st.sampled_from([*ROOTS, "account", "add"])), draw(st.sampled_from(ACTIONS))
        steps, value = draw(PARTS)
        start = [root, action, "0"] if draw(st.integers(0, 4)) else [root]
        path = start[0] + "".join(f"[{step}]" for step in [*start[1:], *steps])
        parts.append(f"{quote_plus(path)}={quote_plus(value.encode('utf-8', 'replace'))}")
    return "&".join(parts).encode()


@st.composite
def mutated_samples(draw: st.DrawFn) -> bytes:
    """A captured hook, damaged: cut, a byte changed, a part repeated, two hooks run together."""
    sent = draw(st.sampled_from(SAMPLES))
    damage = draw(st.sampled_from(["cut", "byte", "repeat", "shuffle", "join"]))
    place = draw(st.integers(0, len(sent) - 1))
    parts = sent.split(b"&")
    if damage == "cut":
        return sent[:place]
    if damage == "byte":
        return sent[:place] + bytes([draw(st.integers(0, 255))]) + sent[place + 1 :]
    if damage == "repeat":
        return b"&".join([*parts, parts[place % len(parts)] + draw(st.sampled_from([b"", b"0", b"%5Bx%5D=1"]))])
    if damage == "shuffle":
        return b"&".join(draw(st.permutations(parts)))
    return sent + b"&" + draw(st.sampled_from(SAMPLES))


def widgets() -> st.SearchStrategy[bytes]:
    leaf = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4) | VALUES
    keys = st.sampled_from(["event", "type", "data", "id", "element_type", "time", "account_id", "", "x"])
    trees = st.recursive(leaf, lambda child: st.lists(child, max_size=3) | st.dictionaries(keys, child, max_size=4))
    return trees.map(lambda tree: json.dumps({"event": tree}).encode())


BODIES = st.binary(max_size=200) | forms_of_real_words() | mutated_samples() | widgets()


@given(BODIES)
@settings(deadline=None, max_examples=600)
def test_whatever_comes_events_come_out_and_survive_storage(sent: bytes) -> None:
    events = webhooks.decode(sent)
    assert events
    for event in events:
        stored = json.dumps(to_json(event, with_raw=True), allow_nan=False).encode()
        assert b"\\u0000" not in stored
        back = from_json(json.loads(stored))
        assert back == event
        assert type(back) is type(event)
        assert back.raw == event.raw
        assert fingerprint(back) == fingerprint(event)
        assert event.at is None or event.at.utcoffset() is not None
        assert not isinstance(event, Unrecognised) or event.why


@given(forms_of_real_words() | mutated_samples())
@settings(deadline=None)
def test_decoding_twice_gives_the_same(sent: bytes) -> None:
    assert webhooks.decode(sent) == webhooks.decode(sent)


@given(st.sampled_from(SAMPLES), st.text("abcxyz", min_size=1, max_size=5), st.text(max_size=9))
@settings(deadline=None)
def test_unknown_root_is_kept_and_hides_nothing(sample: bytes, name: str, value: str) -> None:
    value = value.encode("utf-8", "replace").decode().replace("\x00", "")
    *known, unknown = webhooks.decode(sample + f"&x_{name}={quote_plus(value)}".encode())
    assert known == webhooks.decode(sample)
    assert isinstance(unknown, Unrecognised)
    assert unknown.raw == {f"x_{name}": value}


HOSTILE = {
    "roots": lambda size: b"".join(b"r%d=1&" % number for number in range(size)),
    "items": lambda size: b"".join(b"leads[delete][%d][id]=1&" % number for number in range(size)),
    "bad items": lambda size: b"".join(b"leads[delete][%d]=1&" % number for number in range(size)),
    "actions": lambda size: b"".join(b"leads[a%d]=1&" % number for number in range(size)),
    "fields": lambda size: b"leads[add][0][id]=1&" + b"leads[add][0][custom_fields][][id]=5&" * size,
    "values": lambda size: (
        b"leads[add][0][id]=1&leads[add][0][custom_fields][0][id]=5&"
        + b"leads[add][0][custom_fields][0][values][]=5&" * size
    ),
    "entities in a name": lambda size: b"leads[add][0][id]=1&leads[add][0][name]=" + b"%26amp;" * size,
    "JSON": lambda size: b"[" + b"1," * size + b"1]",
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_cost_is_linear(hostile: Any) -> None:
    def work(size: int) -> Any:
        sent = hostile(size)
        return lambda: webhooks.decode(sent)

    assert_linear(work)
