// What the target stage leaves of `y = 2 * x + w` over four floats: two functions, a splat and a plain weight.
module attributes {
  burin.stage = "target", burin.arena_bytes = 128 : i64, burin.peak_live_bytes = 100 : i64,
  burin.signature = {inputs = [{name = "x", dtype = 1 : i32, dims = array<i64: 2, 2>}],
                     outputs = [{name = "y:0", dtype = 1 : i32, dims = array<i64: 2, 2>}]},
  burin.layers = [{name = "double", kind = "elementwise", flops = 4 : i64, bytes = 32 : i64},
                  {name = "add", kind = "elementwise", flops = 4 : i64, bytes = 48 : i64}],
  burin.weights = [{name = "w", offset = 0 : i64, source_bytes = 16 : i64, encoding = "raw", data = dense<[1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>},
                   {name = "two", offset = 64 : i64, source_bytes = 16 : i64, encoding = "packed", data = dense<2.0> : tensor<4xf32>}]
} {
  llvm.func @double(%x: !llvm.ptr, %two: !llvm.ptr, %to: !llvm.ptr) attributes {sym_visibility = "private"} {
    %0 = llvm.load %x : !llvm.ptr -> vector<4xf32>
    %1 = llvm.load %two : !llvm.ptr -> vector<4xf32>
    %2 = llvm.fmul %0, %1 : vector<4xf32>
    llvm.store %2, %to : vector<4xf32>, !llvm.ptr
    llvm.return
  }
  llvm.func @add(%a: !llvm.ptr, %b: !llvm.ptr, %to: !llvm.ptr) attributes {sym_visibility = "private"} {
    %0 = llvm.load %a {alignment = 4 : i64} : !llvm.ptr -> vector<4xf32>
    %1 = llvm.load %b : !llvm.ptr -> vector<4xf32>
    %2 = llvm.fadd %0, %1 : vector<4xf32>
    llvm.store %2, %to {alignment = 4 : i64} : vector<4xf32>, !llvm.ptr
    llvm.return
  }
  llvm.func @entry(%inputs: !llvm.ptr, %outputs: !llvm.ptr, %arena: !llvm.ptr, %weights: !llvm.ptr, %context: !llvm.ptr) -> i32 {
    %x = llvm.load %inputs : !llvm.ptr -> !llvm.ptr
    %y = llvm.load %outputs : !llvm.ptr -> !llvm.ptr
    %two = llvm.getelementptr %weights[64] : (!llvm.ptr) -> !llvm.ptr, i8
    llvm.call @double(%x, %two, %arena) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
    llvm.call @add(%arena, %weights, %y) : (!llvm.ptr, !llvm.ptr, !llvm.ptr) -> ()
    %ok = llvm.mlir.constant(0 : i32) : i32
    llvm.return %ok : i32
  }
}
