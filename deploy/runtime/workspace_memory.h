/// Memory for a model's intermediate tensors.
#ifndef EW_WORKSPACE_MEMORY_H
#define EW_WORKSPACE_MEMORY_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/// Memory of `bytes` > 0, to be given to free(); NULL if there is none. Large memory begins at a
/// border of huge pages and asks for them: a first inference then takes a few page faults instead
/// of one for each 4 KiB, and later ones miss the address cache less often.
void* ew_allocate_workspace(size_t bytes);

#ifdef __cplusplus
}
#endif

#endif
