"""The one place where parts meet: what the configuration describes is made and connected here.

First keys, rules, programs and stores; of them a gateway, or a stream worker.

Each function raises ``ConfigError`` with every mistake in its part, led by the key.
"""

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from playsmart_gateway.auth.issuing import ACCESS_SECONDS
from playsmart_gateway.auth.keys import weakness
from playsmart_gateway.auth.tokens import TokenVerifier
from playsmart_gateway.catalogue.configured import definitions_for, expected_of, standard_for
from playsmart_gateway.catalogue.follower import catalogue_task
from playsmart_gateway.config import Auth, Config, Properties
from playsmart_gateway.config.verifier import verifier_for
from playsmart_gateway.console.inspector.hub import MAX_WATCHERS, Inspector
from playsmart_gateway.dialects import ALL
from playsmart_gateway.dialects.lynes.access import program_for
from playsmart_gateway.dialects.teak.known_players import KnownPlayers
from playsmart_gateway.economy.coins import (
    Rule,
    is_whole_millionths,
)
from playsmart_gateway.economy.points import Program
from playsmart_gateway.errors import ConfigError
from playsmart_gateway.gateway import Gateway, Parts, Readers
from playsmart_gateway.http.slots import Limits, Slots
from playsmart_gateway.lake import job as lake
from playsmart_gateway.metrics import Stats
from playsmart_gateway.peers.peer import Peer
from playsmart_gateway.pipeline.allowance import Allowance
from playsmart_gateway.pipeline.caretaker import Caretaker
from playsmart_gateway.pipeline.journal_folders import worker_folder
from playsmart_gateway.pipeline.machine import MACHINE, Machine
from playsmart_gateway.pipeline.observers import Observer
from playsmart_gateway.pipeline.wiring import KINDS, Kinds, Wiring
from playsmart_gateway.stores.background import (
    audit_task,
    losses_task,
    properties_task,
    revocations_task,
    rollup_task,
    runs_task,
)
from playsmart_gateway.stores.contract import (
    EventSink,
    Store,
    TakeTurn,
)
from playsmart_gateway.stores.open import open_store
from playsmart_gateway.stores.rollups import Property
from playsmart_gateway.stream import open_publisher
from playsmart_gateway.stream.acks import Acks
from playsmart_gateway.stream.options import (
    JetStreamOptions,
    is_nats,
)
from playsmart_gateway.stream.source import Source
from playsmart_gateway.stream.worker import LINGER_SECONDS, StreamWorker

MIN_OPERATOR_TOKEN_LENGTH = 16
MIN_SECRET_LENGTH = 8
"""Characters of what others chose: Teak's secrets, and API keys that applications have."""

ADVISED_SECRET_LENGTH = 16
EXAMPLE_OPERATOR_TOKEN = "some-long-random-text"  # noqa: S105 - in config.example.toml
PRINTED = (
    EXAMPLE_OPERATOR_TOKEN,
    "a-string-secret-at-least-256-bits-long",  # what jwt.io fills in
)
EXAMPLE_TEAK_SECRET = "your_server_secret"  # noqa: S105 - in Teak's manual, and in ours


class Storage(NamedTuple):
    """What takes events, and the database that answers; mostly they are one."""

    sink: EventSink
    store: Store


def storage_for(config: Config, *, take_turn: TakeTurn = nullcontext) -> Storage:
    """Return what the configuration describes; enter both to open them.

    With a ``storage.url`` of NATS batches are only published; then ``storage.reads_url`` names the
    database to which workers write them, and which does all the rest. See ``open_store`` for
    ``take_turn``.

    Raises:
        ConfigError: with what cannot be used of it.
    """
    return _storage(config, rules_for(config), program_for(config), take_turn)


def _storage(
    config: Config, rules: Sequence[Rule], program: Program, take_turn: TakeTurn = nullcontext
) -> Storage:
    storage, opened = config.storage, partial(open_store, take_turn=take_turn)
    if is_nats(storage.url):
        if storage.reads_url is None or is_nats(storage.reads_url):
            problem = "must name the database that the workers write to, as storage.url is NATS"
            raise ConfigError([f"storage.reads_url: {problem}"])
        store = opened(storage.reads_url, rules, program)
        return Storage(open_publisher(storage.url, jetstream_for(config), store), store)
    if storage.reads_url is not None:
        raise ConfigError(["storage.reads_url: is only for a storage.url of NATS"])
    store = opened(storage.url, rules, program)
    return Storage(store, store)


def require_strong_secrets(config: Config) -> None:
    """Look at every secret that opens something.

    Raises:
        ConfigError: with every one that can be guessed, or is printed in the manual.
    """
    found = list(_secrets(config))
    problems = [
        f"{key}: {problem}" for key, secret, least in found if (problem := weakness(secret, least))
    ]
    problems += [
        f"{key}: is the one of a manual, must be random"
        for key, secret, _ in found
        if secret in PRINTED
    ]
    if problems:
        raise ConfigError(problems)


def holds_secrets(config: Config) -> bool:
    """Whether the configuration has any secret in it."""
    return any(_secrets(config))


def _secrets(config: Config) -> Iterator[tuple[str, str, int]]:
    """Yield each with its key, and how many characters it must have."""
    yield from _hmac_secrets("auth", config.auth)
    for dialect in ALL:
        yield from _hmac_secrets(f"{dialect.name}.auth", dialect.auth(config) or Auth())
    for path, secret in _chosen_by_others(config):
        yield path, secret, MIN_SECRET_LENGTH
    if (token := config.operator.token) is not None:
        yield "operator.token", token, MIN_OPERATOR_TOKEN_LENGTH


def _hmac_secrets(path: str, auth: Auth) -> Iterator[tuple[str, str, int]]:
    # How long they are is for `open_verifier` to say, in bytes.
    if auth.secret:
        yield f"{path}.secret", auth.secret, 0
    for place, each in enumerate(auth.secrets):
        yield f"{path}.secrets.{place}.secret", each.secret, 0


def doubtful_secrets(config: Config) -> Iterator[str]:
    """Yield the secrets that are taken but should be longer, by their keys."""
    for path, secret in _chosen_by_others(config):
        if len(secret) < ADVISED_SECRET_LENGTH:
            yield f"{path} has {len(secret)} characters"


def printed_secrets(config: Config) -> list[str]:
    """Return the keys of the secrets that everybody can read in a manual."""
    return [path for path, secret in _chosen_by_others(config) if secret == EXAMPLE_TEAK_SECRET]


def _chosen_by_others(config: Config) -> Iterator[tuple[str, str]]:
    for dialect in ALL:
        yield from dialect.secrets(config)


def check(config: Config) -> None:
    """Look at all that ``serve`` would use but the keys, if none are configured.

    Raises:
        ConfigError: with every mistake.
    """
    looks: list[Callable[[], object]] = [partial(dialect.check, config) for dialect in ALL]
    checks = (require_strong_secrets, rules_for, program_for, definitions_for)
    looks += [partial(each, config) for each in checks]
    if config.auth.has_keys:
        looks.append(partial(verifier_for, config.auth))
    looks += [partial(_storage, config, [], Program()), partial(lake.check, config)]
    problems: list[str] = []
    for look in looks:
        try:
            look()
        except ConfigError as error:
            problems += error.problems
    if problems:
        raise ConfigError(problems)


def allowance_for(config: Config) -> Allowance | None:
    """Return what one player may send, None without limits; of forked processes it is one."""
    limits = config.ingest
    if not limits.player_events_per_second and not limits.player_bytes_per_second:
        return None
    return Allowance(
        events_per_second=limits.player_events_per_second,
        bytes_per_second=limits.player_bytes_per_second,
    )


def jetstream_for(config: Config) -> JetStreamOptions:
    """Return how the stream between gateways and workers is to be."""
    largest = config.server.max_body_bytes
    return JetStreamOptions(**msgspec.structs.asdict(config.nats), largest_batch_bytes=largest)


def properties_of(config: Config) -> list[Property]:
    """Return what games of ``config`` name otherwise than by default."""
    usual = msgspec.structs.asdict(Properties())
    return [
        Property(game.id, meaning, name)
        for game in config.games
        for meaning, name in msgspec.structs.asdict(game.properties).items()
        if name != usual[meaning]
    ]


def rules_for(config: Config) -> list[Rule]:
    """Return what each configured game pays now.

    Raises:
        ConfigError: with every rule that could never work.
    """
    rules, problems, seen = [], [], set()
    for place, game in enumerate(config.games):
        fixed = game.reward_mode == "fixed"
        least, most = game.reward_min_amount, game.reward_max_amount
        found = []
        if game.id in seen:
            found.append("id: is there twice")
        seen.add(game.id)
        found += [
            f"{key}: has more than six decimals"
            for key in ("level_completion_multiplier", "event_trigger_multiplier")
            if not is_whole_millionths(getattr(game, key))
        ]
        rule = Rule.paying(
            game.id,
            bounds=(game.reward_fixed_amount,) * 2 if fixed else (least, most),
            level_multiplier=game.level_completion_multiplier,
            trigger_threshold=game.event_trigger_threshold,
            trigger_multiplier=game.event_trigger_multiplier,
            max_per_day=game.max_coins_per_day,
        )
        if not fixed and least > most:
            found.append("reward_min_amount: is more than reward_max_amount")
        elif game.coins_enabled and not found:
            found += rule.problems()
        problems += [f"games.{place}.{problem}" for problem in found]
        paying = config.app.is_live and game.is_active and game.coins_enabled
        rules.append(rule if paying else Rule(game.id))
    if problems:
        raise ConfigError(problems)
    return rules


def gateway_for(
    config: Config,
    storage: Storage,
    verifier: TokenVerifier,
    *,
    development: bool = False,
    worker: Peer | None = None,
    machine: Machine = MACHINE,
) -> Gateway:
    """Return a gateway with all of its parts: the whole one, or one ``worker`` of several.

    In ``development`` who watches it sees what was refused.
    """
    parts = parts_for(
        config, storage, verifier, development=development, worker=worker, machine=machine
    )
    return Gateway(parts, machine, worker)


def parts_for(
    config: Config,
    storage: Storage,
    verifier: TokenVerifier,
    *,
    development: bool = False,
    worker: Peer | None = None,
    machine: Machine = MACHINE,
    kinds: Kinds = KINDS,
    observers: Mapping[str, Observer] | None = None,
) -> Parts:
    """Return what a gateway is made of, with parts of these ``kinds`` and more ``observers``."""
    inherited = worker.inherited() if worker else None
    stats = inherited.stats if inherited else Stats()
    sink, store = storage
    readers = Readers(store.reader(), store.reader(), store.reader(), store.reader())
    known_players = KnownPlayers(readers.players)
    if worker:
        known_players.share(worker)
    inspector = Inspector(
        max_watchers=min(MAX_WATCHERS, max(1, config.server.max_connections // 10)),
        shows_bodies=development,
        clock=machine.clock,
        wall_clock=machine.wall,
    )
    path = Path(config.journal.path)
    standard = None if is_nats(config.storage.url) else standard_for(config)
    pipeline = Wiring(config, machine, kinds, standard).pipeline(
        sink,
        store,
        folder=worker_folder(path, worker.number) if worker else path,
        stats=stats,
        observers={"known_players": known_players, "inspector": inspector, **(observers or {})},
    )
    caretaker = Caretaker(pipeline, sink, store, config.journal.fsync_interval_seconds)
    beside = {"journal health": caretaker.keep_healthy, "store health": caretaker.look_after_sink}
    rollups = store.rollups()
    learned = store.learned if config.catalogue.enabled else None
    if worker is None or worker.number == 0:  # what a store needs once
        days, clocks = config.runs.keep_days, {"clock": machine.clock, "wall": machine.wall}
        beside["runs"] = runs_task(store, days, stats, **clocks).run
        beside["audit"] = audit_task(readers.audit, stats, machine.clock).run
        beside["losses"] = losses_task(readers.audit, rollups, stats, **clocks).run
        if rollups is not None:
            share = config.figures.cpu_share
            named, clock = properties_of(config), machine.clock
            beside["properties"] = properties_task(rollups, named, stats, clock=clock).run
            beside["figures"] = rollup_task(rollups, share, stats, machine.clock).run
        if learned is not None:
            share, expected = config.catalogue.cpu_share, expected_of(config)
            keys = {game.id: game.properties.app_version for game in config.games}
            catalogue = catalogue_task(learned, share, stats, expected, keys, **clocks)
            beside["catalogue"] = catalogue.run
        if config.lake.with_gateway and (job := lake.job_for(config)) is not None:
            from playsmart_gateway.lake.process import LakeProcess  # for those who have one

            beside["lake"] = LakeProcess(job, stats).run
    if config.accounts.enabled:
        clocks = {"clock": machine.clock, "wall": machine.wall}
        revoke, seconds = verifier.revoke, ACCESS_SECONDS
        task = revocations_task(store.accounts, revoke, seconds, stats, **clocks)
        beside["revocations"] = task.run
    return Parts(
        pipeline=pipeline,
        caretaker=caretaker,
        sink=sink,
        store=store,
        readers=readers,
        rollups=rollups,
        learned=learned,
        verifier=verifier,
        slots=Slots(_limits(config), stats, machine.clock),
        known_players=known_players,
        inspector=inspector,
        beside=beside,
        drain_timeout_seconds=config.server.drain_timeout_seconds,
        inherited=inherited,
    )


def _limits(config: Config) -> Limits:
    server = config.server
    return Limits(
        max_connections=server.max_connections,
        max_of_address=server.max_connections_per_address,
        max_body_bytes=max(
            server.max_body_bytes, server.max_body_bytes_in_flight // server.workers
        ),
        request_seconds=server.request_timeout_seconds,
        keep_alive_seconds=server.keep_alive_seconds,
        log_lines=config.log.refusals,
    )


def worker_for(
    config: Config,
    source: Source,
    sink: EventSink,
    *,
    linger_seconds: float = LINGER_SECONDS,
    shuffle: Callable[[list[Any]], None] = random.shuffle,
) -> StreamWorker:
    """Return a worker that takes batches from ``source`` and stores them.

    A batch waits ``linger_seconds`` for others to share its transaction.
    """
    acks = Acks(source)
    outlet = Wiring(config, standard=standard_for(config)).stream_outlet(sink, acks, linger_seconds)
    drain_seconds = config.server.drain_timeout_seconds
    return StreamWorker(source, sink, acks, outlet, drain_seconds, shuffle=shuffle)
