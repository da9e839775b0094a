"""What all endpoints share: the frame around a request, errors in the envelope, files, limits.

``request_frame`` is the outermost layer of the application, ``endpoint`` what a dialect's endpoint
is, ``slots`` who may hold a connection, and ``ops`` answers those who watch the gateway. Nothing
here knows a dialect or a store. Begin with ``request_frame``.
"""
