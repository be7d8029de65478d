// The passes of this room, alphabetical. CONVENTIONS: flag = room, verb, object; every description ends in an executed example.
#ifndef BURIN_PASSES_CPU_PASSES_TD
#define BURIN_PASSES_CPU_PASSES_TD

include "mlir/Pass/PassBase.td"

def ApproximateMath : Pass<"cpu-approximate-math", "mlir::func::FuncOp"> {
  let summary = "replace math functions by arithmetic that needs no library";
  let description = [{
    exp, log, tanh, erf, sin, pow and their relatives on f32 and f64, scalar or vector, become polynomials with the errors that README.md states; f16 and bf16
    go through f32. What the machine has as an instruction stays. After it no operation is left that LLVM would turn into a call.
    Example: test/passes/Cpu/approximate-math.mlir#exp
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">,
                 Option<"loose", "loose", "bool", "false", "exp, tanh, erf, sin, cos and pow of f32 with fewer operations and the larger errors of README.md">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::math::MathDialect", "mlir::vector::VectorDialect"];
}

def ConvertFunctions : Pass<"cpu-convert-functions", "mlir::ModuleOp"> {
  let summary = "turn functions whose bodies are in the LLVM dialect into LLVM functions";
  let description = [{
    Kernels get one bare pointer a memref argument, with the arguments' attributes; calls pass the pointers. Memrefs must be static.
    Must run after cpu-lower-to-llvm on every function.
    Sizes are integers of 64 bits between functions, of the machine's address width inside.
    Example: test/passes/Cpu/convert-functions.mlir#pointers
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["mlir::LLVM::LLVMDialect"];
}

def DescribeKernels : Pass<"cpu-describe-kernels", "mlir::func::FuncOp"> {
  let summary = "tell about how long each kernel takes and what its hottest innermost loop holds";
  let description = [{
    Two remarks a kernel: the nanoseconds that the cost model expects on one core, and of the innermost loop in which most of them go the iterations, the values
    carried (the register tile) and the vector operations. Changes nothing; does nothing where nobody collects remarks. Must run after the loops are there and
    before math functions become arithmetic.
    Example: test/passes/Cpu/describe-kernels.mlir#dot
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
}

def LowerCalls : Pass<"cpu-lower-calls", "mlir::ModuleOp"> {
  let summary = "turn foreign calls into calls of C functions";
  let description = [{
    Each `foreign.call` becomes a call of its function (burin_function of runtime.h): its tensors as burin_tensors on the stack, its attributes as constants of the
    module, the returned status stored where the operation says. Sets the module attribute `burin.callees`. Buffers must lie without gaps.
    Example: test/passes/Cpu/lower-calls.mlir#kernel
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::memref::MemRefDialect", "mlir::LLVM::LLVMDialect"];
}

def LowerLinalg : Pass<"cpu-lower-linalg", "mlir::func::FuncOp"> {
  let summary = "turn linalg operations on memrefs into loops over vectors";
  let description = [{
    Each operation becomes a nest of `scf.for` over `vector` loads, stores and the body's operations on vectors. Dims of 1 go, dims that lie behind one another in
    every operand are merged; the vector dim is the one that makes most operands contiguous. Transposed operands go through register tiles; reductions keep
    vector accumulators. Bodies that cannot be vectors stay scalar loops. Elementwise results too large for the last cache are stored past it, from a cache line on.
    Example: test/passes/Cpu/lower-linalg.mlir#add
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">,
                 Option<"streamedBytes", "streamed-bytes", "int64_t", "-1", "results of at least so many bytes are stored past the caches; 0: none; -1: as the machine has it">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::memref::MemRefDialect", "mlir::scf::SCFDialect", "mlir::vector::VectorDialect",
                           "mlir::ub::UBDialect"];
}

def LowerNn : Pass<"cpu-lower-nn", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on memrefs into register-tiled loops over vectors";
  let description = [{
    Convolutions and matrix products become one kind of micro-kernel: pixels x channel vectors in registers, carried through a rolled reduction, tile chosen for
    the machine's registers and the layer's extents; epilogues run on the registers. Depthwise convolutions, pools and softmax have vectors along channels.
    Weights of 8 bits packed for dot products are multiplied four at a time by what the machine has for them (vpdpbusd, vpmaddwd, sdot, ...).
    Where the number of pixels, rows, columns or products is known at run time only, narrower tiles take what wide ones leave. Channels of a convolution or its
    kernel that are not known, channels that are not contiguous and epilogue operands that are not linear in the indices become the loops of
    cpu-lower-nn-to-loops.
    Example: test/passes/Cpu/lower-nn.mlir#conv
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::arith::ArithDialect", "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect", "mlir::vector::VectorDialect", "mlir::LLVM::LLVMDialect"];
}

def LowerNnToLoops : Pass<"cpu-lower-nn-to-loops", "mlir::func::FuncOp"> {
  let summary = "turn nn operations on memrefs into scalar loops, straight from their definitions";
  let description = [{
    Takes every type, rank, layout and dynamic dims. What cpu-lower-nn falls back to and is tested against.
    Example: test/passes/Cpu/lower-nn-to-loops.mlir#conv
  }];
  let dependentDialects = ["mlir::affine::AffineDialect", "mlir::arith::ArithDialect", "mlir::math::MathDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect"];
}

def LowerToLLVM : Pass<"cpu-lower-to-llvm", "mlir::func::FuncOp"> {
  let summary = "turn a kernel's body into the LLVM dialect";
  let description = [{
    vector, scf, memref, arith, math and index operations become LLVM's; the function itself stays until cpu-convert-functions, so that kernels
    can be compiled in parallel. Memref arguments are bare pointers: one pointer to the base, everything else from their static types.
    `index` becomes an integer of the machine's address width.
    Example: test/passes/Cpu/lower-to-llvm.mlir#bare_pointers
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["mlir::LLVM::LLVMDialect", "mlir::cf::ControlFlowDialect", "mlir::affine::AffineDialect"];
}

def MakeEntry : Pass<"cpu-make-entry", "mlir::ModuleOp"> {
  let summary = "turn @main into the entry function of a compiled model";
  let description = [{
    @main(memrefs...) becomes `@entry(ptr inputs, ptr outputs, ptr arena, ptr weights, ptr context) -> i32` (burin_entry in include/burin/runtime.h), which
    loads the data pointers of the two arrays of burin_tensor, calls the kernels in order, with the context's profile hook before and after each, and returns 0.
    With free dims, `memref.dim` of an argument reads the burin_tensor, `@plan` becomes a burin_planner, allocations ask the context's allocator, and what follows
    a check of data or an allocation runs only where that went well; else what is held is released.
    Must run after cpu-outline-kernels.
    Example: test/passes/Cpu/make-entry.mlir#two_layers
  }];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::LLVM::LLVMDialect", "mlir::func::FuncDialect", "mlir::scf::SCFDialect"];
}

def OutlineKernels : Pass<"cpu-outline-kernels", "mlir::ModuleOp"> {
  let summary = "move each operation of @main into a kernel, equal ones into one";
  let description = [{
    Operations on buffers become private functions @kernel_<kind>_<n> of the buffers they touch; @main keeps views and calls. Buffers in arena and weights are
    rebased to offset 0, so that operations that differ only in place share a kernel. A fill goes along with the reduction that starts from it.
    Sets the module attribute `burin.layers`: {name, kind, flops, bytes} a call, in order, and `burin.num_inputs` on @main.
    Example: test/passes/Cpu/outline-kernels.mlir#shared
  }];
  let dependentDialects = ["mlir::func::FuncDialect", "mlir::memref::MemRefDialect", "mlir::arith::ArithDialect"];
}

def ParallelizeKernels : Pass<"cpu-parallelize-kernels", "mlir::ModuleOp"> {
  let summary = "split the loops of kernels into parts for several threads";
  let description = [{
    Neighbouring loops over results that need not wait for one another become a function of a part of their iterations, @<kernel>_part<n>, and the kernel hands its address and
    what it captures to the context's hook for parallel loops (burin_parallel); without one, the whole is one part. Nested loops are counted through as one where
    the outer ones are short. No sum is split, so results do not depend on the number of parts. Loops that take less than two parts' time, that use buffers which
    may overlap, or whose values from before are no scalars stay as they are.
    Must run after cpu-make-entry.
    Example: test/passes/Cpu/parallelize-kernels.mlir#add
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">,
                 Option<"minimalPart", "minimal-part", "int64_t", "2000", "nanoseconds that a part takes at least, as far as is known">,
                 Option<"maximalParts", "maximal-parts", "int64_t", "32", "parts of one loop at most">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::LLVM::LLVMDialect", "mlir::func::FuncDialect", "mlir::memref::MemRefDialect",
                           "mlir::scf::SCFDialect"];
}

def TabulateBytes : Pass<"cpu-tabulate-bytes", "mlir::func::FuncOp"> {
  let summary = "turn elementwise functions of one byte into tables";
  let description = [{
    In bodies of linalg operations and epilogues: a chain of arith and math that makes a byte of one other byte, everything else constant, folded for all 256 of them at
    compile time. So between a DequantizeLinear and a QuantizeLinear any activation costs the same. The bytes are those of the arithmetic, up to how exactly
    its functions are computed here and there. Chains of fewer than six instructions stay, as do those among wider elements where registers look up bytes slowly.
    Example: test/passes/Cpu/tabulate-bytes.mlir#silu
  }];
  let options = [Option<"machineName", "machine", "std::string", "\"host\"", "row of the machine table: a --target name">];
  let dependentDialects = ["mlir::arith::ArithDialect", "mlir::vector::VectorDialect"];
}

#endif
