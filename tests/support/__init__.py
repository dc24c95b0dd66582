"""Tools of the tests: real servers, a broker that misbehaves on demand, observers."""
