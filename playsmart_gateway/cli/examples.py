"""Examples of every command, which its ``--help`` ends with: a line on each, then what to paste.

Those of a group are shown for it, too. A test holds that every command has some, and that each is
one that the command takes.
"""

PROGRAM = "playsmart-gateway"

EXAMPLES: dict[str, dict[str, str]] = {
    "accounts revoke": {
        "have a player log in again": "accounts revoke device-abc-123",
    },
    "audit": {
        "check every coin": "audit",
        "the same for a program": "audit --json",
    },
    "backup": {
        "copy the database of the unit": "backup copy.db",
        "of another configuration": "backup copy.db --config gateway.toml",
    },
    "catalogue": {
        "what events are like, and what is odd": "catalogue",
        "the properties of one": "catalogue --name level_failed",
        "what came of a game this week": "catalogue --game com.example.tower --since 7d",
    },
    "catalogue export": {
        "definitions to begin with": "catalogue export > definitions.toml",
    },
    "check-config": {
        "before a restart": "check-config --config gateway.toml",
    },
    "client": {
        "which there are": "client",
        "one that is a file": "client python > playsmart_client.py",
        "the files of one in a folder": "client unity --out Assets/Playsmart",
    },
    "coins show": {
        "the ledger of a player": "coins show device-abc-123",
        "what came in a day": "coins show device-abc-123 --since 24h",
    },
    "coins adjust": {
        "give coins back": "coins adjust device-abc-123 --amount 50 --reason refund",
    },
    "completion": {
        "bash, for whoever logs in": "completion bash >> ~/.bashrc",
        "zsh": "completion zsh >> ~/.zshrc",
        "fish": f"completion fish > ~/.config/fish/completions/{PROGRAM}.fish",
    },
    "conformance": {
        "one of ours": "conformance --client python",
        "one of yours, one case": "conformance --adapter ./my-client --case offline",
    },
    "dead-letters list": {
        "what was refused today": "dead-letters list --since today",
    },
    "dead-letters show": {
        "one of them, with its rows": "dead-letters show 7a70ad3bf5094d3fafbd0440bfcf840c-17",
    },
    "dead-letters replay": {
        "what would be stored": "dead-letters replay --since 24h --dry-run",
        "store it": "dead-letters replay --since 24h",
    },
    "deploy": {
        "which there are": "deploy",
        "a unit of systemd": "deploy systemd > playsmart-gateway.service",
        "an image": "deploy container | docker build --tag playsmart-gateway --file - .",
    },
    "doctor": {
        "before players meet it": "doctor --config gateway.toml",
    },
    "erase": {
        "what would go": "erase device-abc-123 --dry-run",
        "without a question": "erase device-abc-123 --yes",
    },
    "exclude": {
        "for a month": "exclude 4711 --app my-app --until 30d",
        "for good": "exclude 4711 --app my-app",
    },
    "export": {
        "all, as Parquet": "export --output events.parquet",
        "the levels of a week, for a sheet": (
            "export --output levels.csv --type LevelCompleted --since 7d"
        ),
        "into another program": "export --name boss_defeated | jq .customdata",
    },
    "include": {
        "end an exclusion": "include 4711 --app my-app",
    },
    "lake": {
        "write what is stored, and end": "lake --once",
    },
    "load": {
        "ten seconds, sixteen connections": "load --duration 10 --connections 16",
        "so many a second, and look for all": (
            "load --rate 200 --duration 60 --verify data/playsmart.db"
        ),
    },
    "manual": {
        "the chapters": "manual",
        "one of them, page by page": "manual operations | less",
        "a section": "manual growing#workers",
    },
    "mcp": {
        "as an assistant starts it": "mcp --config gateway.toml",
        "over HTTP, no player shown": "mcp --http 8010 --sums-only",
    },
    "opt": {
        "no e-mail": "opt 4711 out --app my-app --channel email",
    },
    "query": {
        "a table": "query 'SELECT type, count(*) FROM events GROUP BY type'",
        "for a program": "query --json 'SELECT max(p_level) FROM events'",
    },
    "report": {
        "the last four weeks": "report",
        "months, in the time zone of players": (
            "report --period month --since 365d --zone Asia/Tokyo"
        ),
    },
    "retention": {
        "what would go": "retention --older-than 90d --dry-run",
        "of one type, from cron": "retention --older-than 30d --type AdImpression",
    },
    "serve": {
        "try it": "serve --dev",
        "run it": "serve --config gateway.toml",
    },
    "stats": {
        "what came in a day": "stats --since 24h",
        "of one custom event, for a program": "stats --name boss_defeated --since 7d --json",
        "what never arrived": "stats --loss --since 7d",
    },
    "tail": {
        "events as they come": "tail",
        "those of one player": "tail --player device-abc-123 -n 50",
    },
    "token": {
        "for an hour": "token --sub device-abc-123",
        "for a server that calls Lynes": "token --lynes --sub my-server --ttl 30d",
    },
    "trace": {
        "by what the answer had in X-Request-ID": "trace 0194b2c8-2d1f-7a60-9c41-5d2f6a3e7b90",
        "with the log": ("trace 0194b2c8-2d1f-7a60-9c41-5d2f6a3e7b90 --log gateway.log"),
    },
    "worker": {
        "with the gateways' configuration": "worker --config gateway.toml",
        "with figures to watch": "worker --port 9100",
    },
}
"""What to paste behind the name of the program, by what it does, by the command's name."""


def shown(name: str) -> str:
    """Return the examples of a command, or of those in it, as Click shows them unchanged."""
    own = EXAMPLES.get(name)
    within = [each for key, each in EXAMPLES.items() if key.startswith(f"{name} ")]
    lines = ["\b", "Examples:"]
    for group in [own] if own is not None else within:
        for what, text in group.items():
            lines += [f"  # {what}", f"  {PROGRAM} {text}"]
    return "\n".join(lines)
