"""The figures of the evidence: what is drawn, how it looks in print, and the files; `write.write_figures` writes all."""
