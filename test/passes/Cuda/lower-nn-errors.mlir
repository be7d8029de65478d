// RUN: burin-opt %s --cuda-lower-nn=block-size=2048 --verify-diagnostics

// expected-error @+1 {{expected block-size from 1 to 1024, got 2048}}
func.func @main() {
  return
}
