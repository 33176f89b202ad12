"""The one place that knows verl's TransferQueue, its batches and its private methods."""
