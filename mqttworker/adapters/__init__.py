"""One library a file: gmqtt, asyncio on the hub, TLS, signals, lock files."""
