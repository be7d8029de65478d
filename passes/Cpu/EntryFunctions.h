// Private header of the room: what the entry function of a model calls beside kernels, and the C structs it reads.
#ifndef BURIN_PASSES_CPU_ENTRYFUNCTIONS_H
#define BURIN_PASSES_CPU_ENTRYFUNCTIONS_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/BuiltinOps.h"

namespace burin::cpu {

/// burin_tensor of include/burin/runtime.h.
mlir::Type tensorStruct(mlir::MLIRContext *context);

/// Pointer to a member of tensor `index` of an array of burin_tensor: 0 data, 3 dims (with `dim`), 5 capacity.
mlir::Value memberOfTensor(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensors, int32_t index,
                           int32_t member, int32_t dim = -1);

/// A dim of tensor `index`, as index.
mlir::Value loadDim(mlir::OpBuilder &builder, mlir::Location loc, mlir::Value tensors, int32_t index, int32_t dim);

/// void burin_layer_hook(context, i32 layer, i32 end): tells the context's profile, if it has one.
inline constexpr char hookName[] = "burin_layer_hook";
void makeHook(mlir::ModuleOp module);

/// void burin_fork(context, ptr caller, ptr data, i64 shift): runs caller(data, i) for all i < 1 << shift through the
/// context's parallel hook, having stored `shift` in data[0]; without a hook caller(data, 0), having stored 0.
inline constexpr char forkName[] = "burin_fork";
void makeFork(mlir::ModuleOp module);

/// The name of void caller(ptr data, i64 index), made at first use: calls data[1] with that many pointers and i64s from
/// data[2] on, then index and data[0].
std::string makeCaller(mlir::ModuleOp module, unsigned pointers, unsigned words);

/// ptr burin_allocate(context, i64 bytes, ptr status) and void burin_release(context, ptr): memory of the context's
/// allocator. ptr burin_output(context, ptr tensor, i64 bytes, ptr status): the data of an output that holds this much.
/// What fails gives null and sets *status.
void makeMemoryFunctions(mlir::ModuleOp module);

/// `@plan(inputs...) -> (arena bytes, output dims...)` becomes a burin_planner.
void makePlanner(mlir::func::FuncOp plan, mlir::ArrayRef<int64_t> outputRanks);

} // namespace burin::cpu

#endif
