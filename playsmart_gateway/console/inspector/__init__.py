"""The inspector: a live view of requests and what became of their batches.

``hub`` is told of requests and tells ``watcher``s; ``redact`` takes secrets out of what is shown;
``forward`` carries it to a peer whose browser it is; ``routes`` serves the page and its stream.
"""
