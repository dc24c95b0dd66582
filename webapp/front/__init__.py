"""What stands before every page: the door, headers, errors, and what is closed."""
