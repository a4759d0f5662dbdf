/// What CUDA's header of this name defines, of that what generated kernels use.
#ifndef EW_EMULATED_MATH_CONSTANTS_H
#define EW_EMULATED_MATH_CONSTANTS_H

#define CUDART_INF_F __builtin_inff()
#define CUDART_NAN_F __builtin_nanf("")
#define CUDART_INF __builtin_inf()
#define CUDART_NAN __builtin_nan("")

#endif
