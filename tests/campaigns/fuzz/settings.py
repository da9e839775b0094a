"""What a campaign and the hooks in its Schemathesis agree on."""

ORIGIN = "https://game.example.com"
TOKEN = "FUZZ_TOKEN"
"""The environment variable with a token of the example player."""
