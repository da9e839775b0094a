"""``python -m playsmart_gateway``."""

from playsmart_gateway.cli import main

main()
