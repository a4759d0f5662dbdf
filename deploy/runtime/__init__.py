"""The C runtime that a bundle is linked with, and what builds it."""
