"""The published methods: a room each, the hooks that they fill, and the table that lists them."""
