/* The builtin as one translation unit: the image build compiles a single file. */

#include "wire.c"
#include "environment.c"
#include "repl.c"
