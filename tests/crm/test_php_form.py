"""A hook's bytes become a tree by PHP's rules, and no body is too strange for that."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.step_count import assert_linear

from amo_bridge.crm import php_form

CASES: list[tuple[str, bytes, dict[str, Any]]] = [
    ("nothing", b"", {}),
    ("only separators", b"&&&", {}),
    ("one value", b"a=1", {"a": "1"}),
    ("a bare key is empty", b"a&b=", {"a": "", "b": ""}),
    ("an empty key", b"=1", {"": "1"}),
    ("the value keeps its equals signs", b"a=b=c", {"a": "b=c"}),
    ("brackets as they are", b"a[b][c]=1", {"a": {"b": {"c": "1"}}}),
    ("brackets percent-encoded", b"a%5Bb%5D%5B0%5D=1", {"a": {"b": ["1"]}}),
    ("blank as plus", b"a+b=c+d", {"a b": "c d"}),
    ("split before decoding", b"a=1%262%3D3&b=4", {"a": "1&2=3", "b": "4"}),
    ("the last of equals wins", b"a=1&a=2", {"a": "2"}),
    ("0..n is a list", b"a[0]=x&a[1]=y", {"a": ["x", "y"]}),
    ("0..n in any order is a list, by index", b"a[1]=y&a[0]=x", {"a": ["x", "y"]}),
    ("a gap makes a map", b"a[0]=x&a[2]=y", {"a": {"0": "x", "2": "y"}}),
    ("ids make a map", b"a[35144366][ID]=35144366", {"a": {"35144366": {"ID": "35144366"}}}),
    ("01 is no index", b"a[0]=x&a[01]=y", {"a": {"0": "x", "01": "y"}}),
    ("other scripts' digits are no index", "a[²]=x&a[٠]=y".encode(), {"a": {"²": "x", "٠": "y"}}),
    ("empty brackets append", b"a[]=1&a[]=2", {"a": ["1", "2"]}),
    ("they append after the largest index", b"a[5]=x&a[]=y", {"a": {"5": "x", "6": "y"}}),
    ("they append trees", b"a[][b]=1&a[][b]=2", {"a": [{"b": "1"}, {"b": "2"}]}),
    ("a scalar, then a tree", b"t=3&t[uuid]=x", {"t": {"": "3", "uuid": "x"}}),
    ("a tree, then a scalar", b"t[uuid]=x&t=3", {"t": {"uuid": "x", "": "3"}}),
    ("a list, then a scalar", b"t[0]=x&t=3", {"t": {"0": "x", "": "3"}}),
    ("a bad percent escape stays", b"a=50%&b=%zz&c=%4", {"a": "50%", "b": "%zz", "c": "%4"}),
    ("bytes that are not UTF-8", b"a=%FF&b=\xff", {"a": "\ufffd", "b": "\ufffd"}),
    ("NUL, which no database takes", b"a%00=%00", {"a\ufffd": "\ufffd"}),
    ("an encoded surrogate", b"a=%ED%A0%80", {"a": "\ufffd\ufffd\ufffd"}),
    ("Cyrillic", "a=%D0%B6&б=ж".encode(), {"a": "ж", "б": "ж"}),
    ("unclosed brackets", b"a[[[[=1", {"a[[[[": "1"}),
    ("brackets closed too often", b"a]]=1", {"a]]": "1"}),
    ("text between brackets", b"a[b]c[d]=1", {"a[b]c[d]": "1"}),
    ("text after brackets", b"a[b]c=1&a[b]=2", {"a[b]c": "1", "a": {"b": "2"}}),
    ("brackets in brackets", b"a[b[c]]=1", {"a[b[c]]": "1"}),
    ("no name before the brackets", b"[a]=1", {"[a]": "1"}),
]


@pytest.mark.parametrize(("body", "tree"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_tree(body: bytes, tree: dict[str, Any]) -> None:
    assert php_form.parse(body) == tree


def test_key_that_is_nested_too_deeply_stays_flat() -> None:
    deepest = "a" + "[b]" * (php_form.MAX_DEPTH - 1)
    too_deep = deepest + "[b]"
    tree = php_form.parse(f"{deepest}=1&{too_deep}=2".encode())
    assert set(tree) == {"a", too_deep}
    assert tree[too_deep] == "2"


def test_rest_of_too_many_parts_is_kept_unsplit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(php_form, "MAX_PARTS", 2)
    assert php_form.parse(b"a=1&b=2&c=3&d=%34") == {"a": "1", "b": "2", php_form.REST: "c=3&d=%34"}
    assert php_form.parse(b"a=1&b=2&&&") == {"a": "1", "b": "2"}


HOSTILE = {
    "brackets": lambda size: b"[" * size,
    "opened": lambda size: b"a" + b"[" * size + b"=1",
    "deep": lambda size: b"a" + b"[b]" * size + b"=1",
    "deep and empty": lambda size: b"a" + b"[]" * size + b"=1",
    "ampersands": lambda size: b"&" * size,
    "percents": lambda size: b"a=" + b"%" * size,
    "one key": lambda size: b"a=1&" * size,
    "many keys": lambda size: b"".join(b"a%d=1&" % number for number in range(size)),
    "appended": lambda size: b"a[]=1&" * size,
    "backwards": lambda size: b"".join(b"a[%d]=1&" % number for number in range(size, -1, -1)),
    "collisions": lambda size: b"a=1&a[b]=1&" * size,
}


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_cost_is_linear(hostile: Any) -> None:
    def work(size: int) -> Any:
        body = hostile(size)
        return lambda: php_form.parse(body)

    assert_linear(work)


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hundred_thousand_of_anything(hostile: Any) -> None:
    assert isinstance(php_form.parse(hostile(100_000)), dict)


@given(st.binary() | st.text("a01[]&=%+", max_size=60).map(str.encode))
@settings(deadline=None)
def test_any_bytes(body: bytes) -> None:
    for key, child in php_form.parse(body).items():
        assert key is not None
        assert isinstance(child, str | list | dict)


NAMES = st.text("abcя_ &=%+\"'", min_size=1, max_size=4)
TREES = st.dictionaries(
    NAMES,
    st.recursive(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=6),
        lambda children: (
            st.lists(children, min_size=1, max_size=3) | st.dictionaries(NAMES, children, min_size=1, max_size=3)
        ),
        max_leaves=8,
    ),
    max_size=3,
)


def written_by_php(tree: Any, path: str = "") -> list[str]:
    """The parts of the body, as PHP's http_build_query writes them."""
    if isinstance(tree, str):
        return [f"{quote_plus(path)}={quote_plus(tree)}"]
    pairs = enumerate(tree) if isinstance(tree, list) else tree.items()
    return [part for key, child in pairs for part in written_by_php(child, f"{path}[{key}]" if path else str(key))]


@given(TREES)
@settings(deadline=None)
def test_what_php_wrote_is_read_as_it_was(tree: dict[str, Any]) -> None:
    assert php_form.parse("&".join(written_by_php(tree)).encode()) == tree
