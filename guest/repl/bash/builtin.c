/* The builtin as one translation unit: the image build compiles a single file. */

#include "wire.c"
#include "call-stack.c"
#include "descriptors.c"
#include "environment.c"
#include "traps.c"
#include "repl.c"
