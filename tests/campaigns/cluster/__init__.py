"""Gateways, a three-node JetStream cluster, workers and a database, under load and faults.

``python -m tests.campaigns.cluster`` plays every fault; ``test_cluster`` a short form of each.
"""
