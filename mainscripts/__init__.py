"""The benches: one file per command, the command line, and the table of numbered steps."""
