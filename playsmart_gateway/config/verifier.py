"""What checks the tokens that a section of the configuration describes."""

from pathlib import Path

from playsmart_gateway.auth.tokens import TokenVerifier, open_verifier
from playsmart_gateway.config import Auth


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
