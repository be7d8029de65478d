// -O3: kernels' choices by measuring. The model is compiled several times, each time with the next candidate of every
// kernel at once, and run with its profile: layers are timed in their own place, with the caches as they will be.
#ifndef BURIN_LIB_PIPELINE_TUNE_H
#define BURIN_LIB_PIPELINE_TUNE_H

#include "lib/Pipeline/Pipeline.h"

namespace burin {

/// Fills `options.choices` from the cache and, for at most `options.tuneSeconds`, from measurements, which go into the
/// cache. What was found, and why something was not measured, goes into `notes`. Fails where the cache or the user's
/// command is at fault. Given a cache that knows all kernels, nothing is measured, and equal inputs give equal choices.
llvm::Error tune(const ModelSource &source, CompileOptions &options, std::string &notes);

} // namespace burin

#endif
