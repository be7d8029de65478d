// RUN: burin-opt %s --verify-ptx --split-input-file --verify-diagnostics

// library_exp: what exp becomes where no toolkit is found.
module attributes {gpu.container_module} {
  // expected-error @+1 {{expected kernels that call nothing outside themselves, got a call of '__nv_expf'}}
  gpu.binary @k [#gpu.object<#nvvm.target, assembly = ".version 7.0\0A.extern .func  (.param .b32 func_retval0) __nv_expf\0A(\0A\09.param .b32 __nv_expf_param_0\0A)\0A;\0A.visible .entry k()\0A{\0Aret;\0A}\0A">]
}

// -----

module attributes {gpu.container_module} {
  // expected-error @+1 {{got a call of 'vprintf'}}
  gpu.binary @k [#gpu.object<#nvvm.target, assembly = ".extern .func vprintf(.param .b64 p)\0A;">]
}

// -----

// Near misses: shared memory that is external by design, and code that is not text.
module attributes {gpu.container_module} {
  gpu.binary @shared [#gpu.object<#nvvm.target, assembly = ".extern .shared .align 16 .b8 dyn[];\0A.visible .entry k()\0A{\0Aret;\0A}\0A">]
  gpu.binary @cubin [#gpu.object<#nvvm.target, bin = ".extern .func">]
}
