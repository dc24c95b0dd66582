"""How everything stands now: states, verdict, what pages and machines are told of it."""
