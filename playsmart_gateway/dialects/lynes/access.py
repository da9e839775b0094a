"""What ``[lynes]`` means: whose tokens are believed, and what events and streaks pay."""

import msgspec

from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.config import Auth, Config
from playsmart_gateway.config.verifier import verifier_for
from playsmart_gateway.dialects.lynes.section import Lynes
from playsmart_gateway.economy.points import Program
from playsmart_gateway.errors import ConfigError


def lynes_auth(config: Config) -> Auth:
    """Return whose tokens open Lynes: those of ``[lynes.auth]``, or else those of ``[auth]``.

    A section with keys of its own stands alone; without, it says what is different from ``[auth]``.
    """
    own = config.of(Lynes).auth
    if own is None or own.has_keys:
        return own or config.auth
    usual = msgspec.structs.asdict(Auth())
    changes = {
        key: value for key, value in msgspec.structs.asdict(own).items() if value != usual[key]
    }
    return msgspec.structs.replace(config.auth, **changes)


def players_open_lynes(config: Config) -> bool:
    """Whether a player's token opens Lynes for every user."""
    lynes, players, own = config.of(Lynes), config.auth, lynes_auth(config)
    is_apart = any(
        wanted not in (None, usual)
        for wanted, usual in ((own.issuer, players.issuer), (own.audience, players.audience))
    )
    return (
        bool(lynes.events or lynes.streaks)
        and not lynes.strict_user
        and not is_apart
        and not _keys_named(players).isdisjoint(_keys_named(own))
    )


def _keys_named(auth: Auth) -> set[str | None]:
    secrets = {each.secret for each in auth.secrets}
    return {auth.secret, auth.public_key_file, auth.jwks_url, *secrets} - {None}


def lynes_verifier_for(config: Config) -> TokenVerifier | None:
    """Return what checks the tokens of Lynes, if it is not what checks those of players.

    Raises:
        ConfigError: with every mistake in ``[lynes.auth]``.
    """
    if config.of(Lynes).auth is None:
        return None
    try:
        return verifier_for(lynes_auth(config))
    except ConfigError as error:
        raise ConfigError([f"lynes.{problem}" for problem in error.problems]) from None


def program_for(config: Config) -> Program:
    """Return what the events of the Lynes project pay.

    Raises:
        ConfigError: with every definition that could never work.
    """
    section = config.of(Lynes)
    problems = [
        f"lynes.events.{place}.requires_api_key: has no use without lynes.api_key"
        for place, event in enumerate(section.events)
        if event.requires_api_key and not section.api_keys
    ]
    try:
        program = Program(
            section.events,
            section.streaks,
            time_zone=section.time_zone,
            default_group=section.default_group,
        )
    except ConfigError as error:
        raise ConfigError([*error.problems, *problems]) from None
    if problems:
        raise ConfigError(problems)
    return program
