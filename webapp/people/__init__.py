"""Accounts: how people sign in, what limits attempts, which sessions live, who looks after whom."""
