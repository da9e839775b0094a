"""What tests share: processes, engines, doubles, players, and how to wait. No tests."""
