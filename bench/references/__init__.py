"""What the worker is compared with: the same connects made without it."""
