"""What was: events, and the uptime that is reckoned from them."""
