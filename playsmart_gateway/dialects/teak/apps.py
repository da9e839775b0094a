"""The apps that may call, as the configuration describes them (``[[teak.apps]]``), all checked."""

import hmac
import re
from collections.abc import Sequence
from typing import cast, get_args

import msgspec

from playsmart_gateway.dialects.teak.deep_links import short_link
from playsmart_gateway.dialects.teak.parameters import MAX_TEXT_LENGTH
from playsmart_gateway.dialects.teak.properties import MAX_OF_EACH_KIND, Kind
from playsmart_gateway.dialects.teak.section import TeakApp
from playsmart_gateway.errors import ConfigError

_KINDS = get_args(Kind)
_is_host = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*").fullmatch
_scheme_of = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):").match


class App(msgspec.Struct, frozen=True):
    """One app. ``links`` are templates by ``host/path`` or ``/path``, see ``deep_links``."""

    id: str
    secrets: tuple[bytes, ...]
    link_domains: frozenset[str] = frozenset()
    links: dict[str, str] = {}
    properties: dict[str, Kind] = {}

    def believes(self, secret_key: str) -> bool:
        """Whether this is one of the secrets, in a time that does not tell which or how nearly."""
        given = secret_key.encode("utf-8", "surrogatepass")
        found = False
        for secret in self.secrets:
            found |= hmac.compare_digest(secret, given)
        return found


def read_apps(tables: Sequence[TeakApp]) -> dict[str, App]:
    """Return the apps by id.

    Raises:
        ConfigError: with every mistake found.
    """
    problems: list[str] = []
    apps: dict[str, App] = {}
    for place, table in enumerate(tables):
        app = _Reader(f"teak.apps.{place}", table, problems).app()
        if app.id in apps:
            problems.append(f"teak.apps.{place}.id: is the id of another app, too")
        elif app.id:
            apps[app.id] = app
    if problems:
        raise ConfigError(problems)
    return apps


class _Reader:
    """Reads one table and adds what is wrong with it to ``problems``, led by the key."""

    def __init__(self, path: str, table: TeakApp, problems: list[str]) -> None:
        self._path = path
        self._table = table
        self._problems = problems

    def app(self) -> App:
        if not 1 <= len(self._table.id) <= MAX_TEXT_LENGTH:
            self._refuse("id", f"must be a string of 1 to {MAX_TEXT_LENGTH} characters")
        domains = self._link_domains()
        links, properties = self._links(domains), self._properties()
        return App(self._table.id, self._secrets(), domains, links, properties)

    def _refuse(self, key: str, message: str) -> None:
        self._problems.append(f"{self._path}.{key}: {message}")

    def _secrets(self) -> tuple[bytes, ...]:
        secrets = self._table.secrets
        if not secrets or not all(secrets):
            rule = "must be a string or an array of strings, none of them empty"
            self._refuse("secret_key", rule)
        return tuple(secret.encode() for secret in secrets)

    def _link_domains(self) -> frozenset[str]:
        hosts = frozenset(domain.lower() for domain in self._table.link_domains)
        if not all(map(_is_host, hosts)):
            self._refuse("link_domains", "must be an array of host names")
        return hosts

    def _links(self, domains: frozenset[str]) -> dict[str, str]:
        links: dict[str, str] = {}
        for key, target in self._table.links.items():
            name = f'links."{key}"'
            short = ("", key.rstrip("/")) if key.startswith("/") else short_link(key)
            scheme = _scheme_of(target)
            if short is None or not domains or short[0] not in {*domains, ""}:
                self._refuse(name, "is not on a link domain")
            elif "".join(short) in links:
                self._refuse(name, "is the same link as another")
            elif scheme is None or scheme[1].lower() in ("http", "https"):
                self._refuse(name, "must lead to a link with a scheme of the game")
            elif not _is_template(target):
                self._refuse(name, "is not a Liquid template that can be used here")
            else:
                links["".join(short)] = target
        return links

    def _properties(self) -> dict[str, Kind]:
        kinds = self._table.properties
        if not set(kinds.values()) <= set(_KINDS):
            self._refuse("properties", f"must be a table of {' and '.join(_KINDS)}")
        for kind in _KINDS:
            if sum(each == kind for each in kinds.values()) > MAX_OF_EACH_KIND:
                self._refuse("properties", f"has more than {MAX_OF_EACH_KIND} of kind {kind}")
        return cast(dict[str, Kind], kinds)


def _is_template(text: str) -> bool:
    # The library takes a tenth of a second to import, and a gateway without links never needs it.
    from playsmart_gateway.dialects.teak.templates import is_template

    return is_template(text)
