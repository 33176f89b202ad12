"""The figures of the evidence: what is drawn and how it looks in print. `write.write_figures` writes them all."""
