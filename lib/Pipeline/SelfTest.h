// What --self-test puts into an artifact: an input, and what the model makes of it.
#ifndef BURIN_LIB_PIPELINE_SELFTEST_H
#define BURIN_LIB_PIPELINE_SELFTEST_H

#include "lib/Pipeline/Pipeline.h"

namespace burin {

/// Inputs from the npz file that the options name, else made up; outputs from that file, else computed here by the
/// model compiled for this CPU. Inputs and outputs are named as the model names them. One error to the handlers of
/// `messages` where the model has no fixed sizes or the data does not fit.
std::optional<ModelDescription::SelfTest> makeSelfTest(const ModelSource &source, const CompileOptions &options,
                                                       llvm::raw_ostream &messages);

} // namespace burin

#endif
