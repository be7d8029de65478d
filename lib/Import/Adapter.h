// LoRA files become attributes of the module, for passes, which open no files:
//   burin.adapters = [{file = "A.safetensors", scale = 1.0, alpha = {"*" = 8.0}, alpha_pattern = {...}, rank_scaled,
//                      tensors = {"key" = dense_resource<...>}}]
// Tensors stay in the mapped file. What the keys mean is graph-merge-lora's business.
#pragma once

#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/Error.h"

namespace burin {

/// The module attribute that holds adapters.
inline constexpr char adaptersAttr[] = "burin.adapters";

/// "A.safetensors" or "A.safetensors:0.8", the number being the scale.
std::pair<llvm::StringRef, double> splitAdapterSpec(llvm::StringRef spec);

/// Adds one adapter. PEFT's configuration is read from STEM.adapter_config.json or adapter_config.json beside the file,
/// or from the file's metadata. One located error where a file breaks the format or asks for another method than LoRA.
mlir::LogicalResult addAdapter(mlir::ModuleOp module, llvm::StringRef spec);

/// The files that `spec` reads, with size and time, as text: part of a cache key.
std::string describeAdapter(llvm::StringRef spec);

} // namespace burin
