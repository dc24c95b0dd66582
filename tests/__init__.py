"""The tests. Each folder mirrors a floor of the house; `support` holds their tools."""
