"""What a bundle asks of a board, and whether the board has it: before anything is copied."""
