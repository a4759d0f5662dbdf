"""Many boards at once: the file that lists them, and measuring on all of them side by side."""
