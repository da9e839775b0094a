"""Who ``load`` sends as: the subject of a token that is given, or tokens signed for all players."""

import base64
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from playsmart_gateway.auth.tokens import mint
from playsmart_gateway.cli.common import read_config, with_development_secret
from playsmart_gateway.config.verifier import signing_key
from playsmart_gateway.errors import ConfigError

TOKEN_TTL_SECONDS = 2 * 86_400  # outlives the longest run, a day


def subject(token: str) -> str:
    """Return whose token it is. Whether it is genuine is the gateway's to say."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        found = claims["sub"]
    except (ValueError, LookupError, TypeError):
        found = None
    if not isinstance(found, str) or not token.isascii() or not token.isprintable():
        raise ConfigError(["--token is no JSON Web Token with a subject; see `token --help`"])
    return found


def minter(config_path: Path | None) -> Callable[[str], str]:
    """Return what makes a token for a player, by the secret of a configuration or of development.

    Raises:
        ConfigError: there is no secret to sign with.
    """
    config = read_config(config_path)
    if not config.auth.has_keys:
        try:
            config, _ = with_development_secret(config, create=False)
        except ConfigError as error:
            raise ConfigError(
                [
                    "no secret to sign tokens with: start the gateway with `make run`, which makes "
                    "one, or give --secret-from-config or --token",
                    *error.problems,
                ]
            ) from error
    secret, kid = signing_key(config.auth)
    claims = {"iss": config.auth.issuer, "aud": config.auth.audience}
    return partial(
        mint,
        secret=secret,
        kid=kid,
        algorithm=next(iter(config.auth.algorithms), "HS256"),
        ttl_seconds=TOKEN_TTL_SECONDS,
        now=time.time(),
        claims={name: value for name, value in claims.items() if value is not None},
    )
