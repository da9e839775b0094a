"""NATS JetStream: a replicated log between gateways, which publish, and workers, which store.

Only ``options`` may be imported without the driver.
"""
