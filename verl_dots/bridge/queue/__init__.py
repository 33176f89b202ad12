"""Rows of the TransferQueue on the driver: read, written, kept between steps, ordered and computed with."""
