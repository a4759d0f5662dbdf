"""The command line: one file a verb. It parses and prints; the library does the work."""
