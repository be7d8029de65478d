// The foreign dialect: see Foreign.td.
#ifndef BURIN_DIALECTS_FOREIGN_FOREIGN_H
#define BURIN_DIALECTS_FOREIGN_FOREIGN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/Foreign/ForeignDialect.h.inc"

#define GET_OP_CLASSES
#include "dialects/Foreign/ForeignOps.h.inc"

namespace burin::foreign {

/// On a module: the symbols that its code calls beside its own, an array of strings.
inline constexpr char calleesAttr[] = "burin.callees";
/// On a module: C functions that the compiler itself makes (lib/Image), each with what it computes.
inline constexpr char imageStagesAttr[] = "burin.image_stages";

/// Registers how calls become calls on memrefs (for one-shot bufferization).
void registerBufferizableOpInterface(mlir::DialectRegistry &registry);

} // namespace burin::foreign

#endif
