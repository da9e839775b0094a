"""What a gateway imports only when somebody asks for it: each is time of every start."""

import subprocess
import sys
from pathlib import Path

import pytest

LATER = {
    "cryptography": "keys of HMAC need none of it",
    "flask_swagger_ui": "is read when a browser asks",
    "iptocc": "for the first player of Teak's whose address is known",
    "jwt": "signs tokens, and knows public keys",
    "liquid": "for the first deep link",
    "markdown_it": "for the first page of the manual",
    "playsmart_gateway.dialects.lynes.openapi": "for the document",
    "playsmart_gateway.dialects.playsmart.openapi": "for the document",
    "playsmart_gateway.dialects.teak.openapi": "for the document",
    "playsmart_gateway.load": "is another command",
    "playsmart_gateway.openapi.document": "for the document",
    "playsmart_gateway.stores.postgres": "is another store",
    "plotly": "is read when a browser asks",
    "prometheus_client": "for the first look at the metrics",
    "pyarrow": "for exports",
    "rich": "for tables and bars of commands",
}
STARTED = """
import asyncio, sys
from playsmart_gateway.cli.serve import create_app, check
from playsmart_gateway.config import Auth, Config

async def start():
    config = Config(auth=Auth(secret="0f9a" * 16))
    check(config)
    app = create_app(config)
    async with app.router.lifespan_context(app):
        print(*(name for name, module in sys.modules.items() if module))

asyncio.run(start())
"""


@pytest.mark.process
def test_a_gateway_starts_without_what_only_some_will_ask_for(tmp_path: Path) -> None:
    found = subprocess.run(
        [sys.executable, "-c", STARTED], cwd=tmp_path, capture_output=True, text=True, check=True
    ).stdout.split()
    assert "playsmart_gateway.app" in found
    assert not {name for name in LATER if name in found}
