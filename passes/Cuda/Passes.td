// The passes of the CUDA stage, alphabetical. Flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_CUDA_PASSES_TD
#define BURIN_PASSES_CUDA_PASSES_TD

include "mlir/Pass/PassBase.td"

def LowerNn : Pass<"cuda-lower-nn", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on static memrefs into GPU kernels of one thread a result element";
  let description = [{
    Each operation becomes a `gpu.launch` whose threads each compute one element by its definition (nn::buildElement), epilogue included. Neighbouring
    threads have neighbouring channels, so that accesses to filter and result coalesce. General and simple: what kernels on tensor cores are tested
    against. Softmax stays, and so do operations on dynamic shapes.
    Example: test/passes/Cuda/lower-nn.mlir#conv_bias_relu_residual
  }];
  let options = [Option<"blockSize", "block-size", "int64_t", "256", "threads a block, 1 to 1024">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::gpu::GPUDialect", "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect"];
}

def VerifyPtx : Pass<"verify-ptx", "mlir::ModuleOp"> {
  let summary = "check that PTX calls nothing outside itself";
  let description = [{
    Fails where the PTX of a `gpu.binary` declares an external function: without a toolkit, exp and its relatives become calls that only the driver would miss,
    on the user's machine. Must run after gpu-module-to-binary{format=isa}.
    Example: test/passes/Cuda/verify-ptx-errors.mlir#library_exp
  }];
  let dependentDialects = ["mlir::gpu::GPUDialect"];
}

#endif
