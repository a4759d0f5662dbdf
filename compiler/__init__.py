"""Model to machine code: ONNX passes, lowering, memory plan, generated C, parity."""
