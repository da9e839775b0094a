"""The wire: the only rooms that know the shapes of requests and replies, one file a dialect."""
