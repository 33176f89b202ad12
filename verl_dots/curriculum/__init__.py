"""Which questions each step trains on; on the driver, seeded, without I/O."""
