"""What checks and signs the tokens that a section of the configuration describes."""

from pathlib import Path

from playsmart_gateway.auth.tokens import TokenVerifier, open_verifier
from playsmart_gateway.config import Auth
from playsmart_gateway.errors import ConfigError


def signing_key(auth: Auth) -> tuple[str, str | None]:
    """Return the secret, and its ``kid`` if it has one, to sign tokens with: the first listed.

    Raises:
        ConfigError: the keys are public ones, which cannot sign.
    """
    if auth.secrets:
        return auth.secrets[0].secret, auth.secrets[0].kid
    if auth.secret is None:
        raise ConfigError(["auth: tokens can only be signed with a configured secret"])
    return auth.secret, None


def verifier_for(auth: Auth) -> TokenVerifier:
    """Return the token verifier that the configuration describes.

    Raises:
        ConfigError: with every mistake in ``[auth]``.
    """
    return open_verifier(
        secret=auth.secret,
        secrets=[(each.kid, each.secret) for each in auth.secrets],
        public_key_file=Path(auth.public_key_file) if auth.public_key_file else None,
        jwks_url=auth.jwks_url,
        jwks_max_age_seconds=auth.jwks_max_age_seconds,
        algorithms=auth.algorithms,
        issuer=auth.issuer,
        audience=auth.audience,
        leeway_seconds=auth.leeway_seconds,
    )
