"""The greenlets: managers, monitor, heartbeat, lease, writers."""
