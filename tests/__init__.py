"""What is believed of the gateway, by package; ``support`` has what several of them share."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
CASE_FILES = Path(__file__).parent / "dialects" / "cases"
