"""The demo broker: something to connect to on the first day. Never for real use."""
