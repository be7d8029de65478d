// The vpu dialect: see Vpu.td for the conventions all its operations share.
#ifndef BURIN_DIALECTS_VPU_VPU_H
#define BURIN_DIALECTS_VPU_VPU_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Vpu/VpuDialect.h.inc"
#include "dialects/Vpu/VpuEnums.h.inc"
#include "dialects/Vpu/VpuInterfaces.h.inc"

#define GET_ATTRDEF_CLASSES
#include "dialects/Vpu/VpuAttrs.h.inc"
#define GET_OP_CLASSES
#include "dialects/Vpu/VpuOps.h.inc"

namespace burin::vpu {

/// The memory space of CMX; the default space is main memory.
inline constexpr int64_t cmxSpace = 1;

/// Where a memref's elements lie: `root` is a vpu.buffer, a function argument or a constant's memref, the rest is the
/// view's, in elements of the memref.
struct Place {
  mlir::Value root;
  int64_t bytes = 0; // from the root's first byte to the view's first element
  llvm::SmallVector<int64_t> sizes, strides;

  /// One past the last byte that a view of `elementBytes` may touch, counted as `bytes` is.
  int64_t end(int64_t elementBytes) const;
};

/// Bytes that an element of `type` takes in memory.
int64_t elementBytes(mlir::Type type);

/// Follows views to their root. Fails where a size, stride or offset is not static, or an op on the way is no view.
mlir::FailureOr<Place> placeOf(mlir::Value memref);

} // namespace burin::vpu

#endif
