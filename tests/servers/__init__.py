"""Real servers on free loopback ports, each writing only to a temporary folder and stopped by its own process id."""
