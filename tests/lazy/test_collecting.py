"""Collection is put off while something is read, and goes on whatever comes of the reading."""

from __future__ import annotations

import gc

import pytest

from amo_bridge.lazy.collecting import no_garbage


def test_nothing_is_collected_within_and_everything_afterwards() -> None:
    with no_garbage():
        assert not gc.isenabled()
        with no_garbage(is_kept=False):
            assert not gc.isenabled()
        assert not gc.isenabled(), "the outer one ends it"
    assert gc.isenabled()


def test_a_config_that_can_not_be_read_puts_nothing_off() -> None:
    with pytest.raises(ValueError, match="broken"), no_garbage():
        raise ValueError("broken")
    assert gc.isenabled()


def test_what_is_there_is_kept_once_in_a_process() -> None:
    with no_garbage():
        pass
    kept = gc.get_freeze_count()
    more = [[number] for number in range(1000)]
    with no_garbage():
        pass
    assert len(more) == 1000
    assert gc.get_freeze_count() <= kept
