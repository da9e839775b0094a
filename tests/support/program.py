"""The target: ``python -m tests.support.program --port N --data DIR [--set S.K=V]``.

The real configuration, application and server, with an end to its life so that no run of the
campaign can leave one behind. Journal and store are two folders below DIR, so that one can be
taken away without the other.
"""

import argparse
import logging
import signal
import sys
from functools import partial
from pathlib import Path

from playsmart_gateway import output
from playsmart_gateway.app import create_app
from playsmart_gateway.dialects import load_config
from playsmart_gateway.errors import ConfigError, GatewayError
from playsmart_gateway.serve.server import serve
from playsmart_gateway.serve.supervisor import supervise

SECRET = "crash-campaign-secret-of-32-bytes-or-more"
GAMES = (
    '[{id="com.example.game",coins_enabled=true,reward_mode="random_range",'
    "reward_min_amount=1,reward_max_amount=6}]"
)
JOURNAL = Path("journal")
DATABASE = Path("store/playsmart.db")


def environment(port: int, data: Path, settings: list[str]) -> dict[str, str]:
    """Return the configuration as overrides, ``settings`` last."""
    values = {
        "server.port": str(port),
        "auth.secret": SECRET,
        "journal.path": str(data / JOURNAL),
        "storage.url": f"sqlite:///{data / DATABASE}",
        "games": GAMES,
    }
    values |= dict(setting.split("=", 1) for setting in settings)
    return {"PLAYSMART_" + key.upper().replace(".", "__"): text for key, text in values.items()}


def main() -> int:
    """Serve until a signal or the end of life; exit codes as the command line has them."""
    parser = argparse.ArgumentParser(prog="python -m tests.support.program")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE")
    parser.add_argument("--life", type=int, default=300, help="seconds until SIGALRM ends it")
    arguments = parser.parse_args()
    signal.alarm(arguments.life)
    output.never_wait_for_readers()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    try:
        config = load_config(None, environment(arguments.port, arguments.data, arguments.set))
        if config.server.workers == 1:
            return serve(create_app(config), config)
        return supervise(config, partial(create_app, config))
    except ConfigError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        return 2
    except GatewayError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
