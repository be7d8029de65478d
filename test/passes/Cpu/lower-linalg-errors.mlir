// RUN: burin-opt %s --verify-diagnostics --cpu-lower-linalg=machine=pdp11

// expected-error @+1 {{unknown machine 'pdp11', expected one of: host, x86-64-v4+avx512vnni}}
func.func @f() {
  return
}
