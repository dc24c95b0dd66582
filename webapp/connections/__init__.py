"""Connection records: read, checked, written, copied, brought in and out, tested."""
