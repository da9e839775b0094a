"""What Teak's server API is to the rest of the house."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from playsmart_gateway.config import Config, replaced
from playsmart_gateway.dialects.descriptor import Dialect, Host, Limited, Opened
from playsmart_gateway.dialects.teak.section import Teak, TeakApp

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from playsmart_gateway.openapi.parts import Piece


class _Teak(Dialect):
    name = "teak"
    section = Teak
    shown_as = "Teak actions"

    def open(self, host: Host) -> Opened:
        from playsmart_gateway.dialects.teak.apps import read_apps
        from playsmart_gateway.dialects.teak.endpoints import KINDS, Parts
        from playsmart_gateway.dialects.teak.renderer import Renderer
        from playsmart_gateway.dialects.teak.trial import trials

        section, renderer = host.config.of(Teak), Renderer()
        parts = Parts(
            apps=read_apps(section.apps),
            intake=host.intake,
            known_players=host.known_players,
            reader=host.reader,
            players=host.store,
            renderer=renderer,
            stats=host.stats,
            inflater=host.inflater,
            store_client_ip=section.store_client_ip,
            clock=host.clock,
            make_limit=host.make_limit,
            tries=host.tries,
        )
        limits = self.limits(host.config)
        endpoints = [kind(parts, each.calls) for kind, each in zip(KINDS, limits, strict=True)]
        by_path = {each.path: each for each in endpoints}
        return Opened(by_path, close=renderer.close, trials=trials(parts.apps, by_path))

    def pieces(self) -> Sequence[Piece]:
        from playsmart_gateway.dialects.teak.openapi import PIECE

        return (PIECE,)

    def limits(self, config: Config) -> Sequence[Limited]:
        apps = tuple(app.id for app in config.of(Teak).apps)
        limits = msgspec.structs.astuple(config.of(Teak).limits)  # in the order of the endpoints
        return [Limited(calls, apps) for calls in limits]

    def check(self, config: Config) -> None:
        from playsmart_gateway.dialects.teak.apps import read_apps

        read_apps(config.of(Teak).apps)

    def secrets(self, config: Config) -> Iterator[tuple[str, str]]:
        for place, app in enumerate(config.of(Teak).apps):
            # That one is empty is for `read_apps` to say.
            yield from ((f"teak.apps.{place}.secret_key", each) for each in app.secrets if each)

    def with_examples(self, config: Config) -> Config:
        from playsmart_gateway.dialects.teak.openapi_schemas import APP, SECRET_KEY

        if config.of(Teak).apps:
            return config
        app = TeakApp(id=APP, secret_key=SECRET_KEY, properties={"player_level": "string"})
        changed = msgspec.structs.replace(config.of(Teak), apps=(app,))
        return replaced(config, changed)


TEAK = _Teak()
