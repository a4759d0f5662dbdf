"""What people read: tables of a compilation, a verification and a benchmark."""
