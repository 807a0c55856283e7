"""What outlives the process: one SQLite file in the data directory, and the spool of pictures beside it."""
