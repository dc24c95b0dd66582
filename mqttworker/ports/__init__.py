"""What the service needs of the outside world: a transport and a store."""
