"""gunicorn as this product runs it: its worker, and the threads that answer requests."""
