"""Real processes and real faults: SIGKILL, full disks, locked databases, limits, slow clients."""
