"""Parity with a reference: runners that infer, and a comparison that knows only runners."""
