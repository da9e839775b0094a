"""``python -m tests.campaigns.fuzz``: the checks of Schemathesis, all endpoints, no failure.

Exit code 0 when nothing was found. Afterwards the gateway must have stored all it promised. What
may take the express path is tried once more against a gateway without it.
"""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from playsmart_gateway.dialects.lynes.openapi_schemas import (
    EVENTS,
    STREAKS,
)
from playsmart_gateway.dialects.playsmart.openapi import PLAYER
from playsmart_gateway.dialects.playsmart.validate import OPERATOR_TOKEN
from playsmart_gateway.dialects.teak.openapi_schemas import (
    APP,
    SECRET_KEY,
)
from tests.campaigns.fuzz.settings import ORIGIN, TOKEN
from tests.support.process import SECRET, RunningGateway, clean_environment
from tests.support.uploads import in_toml

EXPRESS = r"^/(ingest/events|v2/analytics_events)"
"""The paths of which requests may be answered on the express path."""

CONFIG = Path(__file__).with_name("schemathesis.toml")
OPERATOR = "the operator of a fuzz campaign"
ENVIRONMENT = {
    "PLAYSMART_AUTH__SECRET": SECRET,
    "PLAYSMART_OPERATOR__TOKEN": OPERATOR,
    "PLAYSMART_TEAK__APPS": f'[{{id = "{APP}", secret_key = "{SECRET_KEY}"}}]',
    "PLAYSMART_TEAK__LIMITS": "{analytics_events = 0, batch = 0, identify = 0, "
    "player_properties = 0}",
    "PLAYSMART_LYNES__EVENTS": in_toml(msgspec.to_builtins(EVENTS)),
    "PLAYSMART_LYNES__STREAKS": in_toml(msgspec.to_builtins(STREAKS)),
    "PLAYSMART_LYNES__RATE_LIMIT": "0",
    "PLAYSMART_LYNES__AUTH": '{issuer = "lynes"}',  # whose tokens do for both, as none is in [auth]
    "PLAYSMART_CORS__ORIGINS": f'["{ORIGIN}"]',
    "PLAYSMART_ACCOUNTS__ENABLED": "true",
    "PLAYSMART_ACCOUNTS__REQUESTS_PER_MINUTE_OF_ADDRESS": "0",
    "PLAYSMART_ACCOUNTS__TRIES_PER_MINUTE_OF_ACCOUNT": "0",
}


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make fuzz ARGS=...", description=__doc__)
    parser.add_argument("--examples", type=int, default=300, help="requests an operation")
    parser.add_argument("--seed", type=int, help="generate the same requests again")
    arguments, others = parser.parse_known_args()
    without = [*others, "--include-path-regex", EXPRESS]
    return _campaign(ENVIRONMENT, arguments, others) or _campaign(
        {**ENVIRONMENT, "PLAYSMART_SERVER__EXPRESS": "false"}, arguments, without
    )


def _campaign(environment: dict[str, str], arguments: argparse.Namespace, others: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        gateway = RunningGateway(Path(folder), environment)
        try:
            found = _fuzz(gateway, arguments.examples, arguments.seed, others)
            law = gateway.settle()
            print("the law holds:", law)
            if gateway.stop() or "Traceback" in gateway.log or " ERROR " in gateway.log:
                print(gateway.log)
                return 1
        finally:
            gateway.close()
    return found


def _fuzz(gateway: RunningGateway, examples: int, seed: int | None, others: list[str]) -> int:
    token = gateway.token(PLAYER, iss="lynes")
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{gateway.url}/openapi.json"),
        *("--checks", "all", "--max-examples", str(examples)),
        # Where a header is left out the token of the campaign comes along all the same.
        *("--exclude-checks", "missing_required_header"),
        *("--header", f"Authorization: Bearer {token}"),
        *("--header", f"{OPERATOR_TOKEN}: {OPERATOR}"),
        *(() if seed is None else ("--seed", str(seed))),
        *others,
    ]
    hooks = "tests.campaigns.fuzz.hooks"
    environment = clean_environment(SCHEMATHESIS_HOOKS=hooks, **{TOKEN: token})
    return subprocess.run(command, env=environment, check=False).returncode


sys.exit(main())
