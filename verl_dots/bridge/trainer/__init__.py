"""verl's V1 trainer by public names: waits that end, mini-batches of unequal groups, and rows in place of batches."""
