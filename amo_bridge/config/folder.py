"""A folder of configs: each its own account. One that can't be read stops nobody but itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amo_bridge.config.load import load
from amo_bridge.config.model import Config
from amo_bridge.errors import ConfigError

# What belongs to one account and can't be meant for all of them.
OF_ONE = ("AMO_BRIDGE_TOKEN", "AMO_BRIDGE_TOKEN_FILE", "AMO_BRIDGE_ACCOUNT_URL", "AMO_BRIDGE_HOOK_SECRET")


@dataclass(frozen=True)
class AccountConfig:
    """One file. ``config`` is None when it can't be used; ``problems`` (Russian) say why."""

    name: str
    environment: Mapping[str, str]
    config: Config | None
    problems: tuple[str, ...] = ()


def load_folder(folder: Path, environment: Mapping[str, str]) -> list[AccountConfig]:
    """All ``*.toml`` of a folder, by name. Raises ConfigError when there is none."""
    paths = sorted(folder.glob("*.toml"))
    if not paths:
        raise ConfigError([f"в папке {folder} нет ни одного файла *.toml"])
    found: list[AccountConfig] = []
    taken: dict[str, str] = {}
    for path in paths:
        one = _load(path, environment_of(environment, path.stem))
        if (
            one.config is not None
            and (other := taken.setdefault(one.config.account.url.lower(), path.name)) != path.name
        ):
            words = f"{path.name}: [account] url: этот же аккаунт уже в файле {other}"
            one = AccountConfig(one.name, one.environment, None, (words,))
        found.append(one)
    return found


def environment_of(environment: Mapping[str, str], name: str) -> dict[str, str]:
    """The environment as one account sees it: the token of ``acme.toml`` is AMO_BRIDGE_TOKEN with ``__ACME`` behind it.

    What is not of one account alone (the key, the database, an integration's keys) holds for all that have none of
    their own.
    """
    suffix = "__" + re.sub(r"\W+", "_", name).upper()
    common = {key: value for key, value in environment.items() if key not in OF_ONE}
    own = {key.removesuffix(suffix): value for key, value in environment.items() if key.endswith(suffix)}
    return {**common, **own}


def _load(path: Path, environment: Mapping[str, str]) -> AccountConfig:
    try:
        return AccountConfig(path.stem, environment, load(path, environment))
    except ConfigError as error:
        return AccountConfig(path.stem, environment, None, tuple(error.problems))
