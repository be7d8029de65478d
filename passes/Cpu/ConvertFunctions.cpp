// cpu-convert-functions: functions whose bodies are in the LLVM dialect become LLVM functions, one bare pointer a
// memref argument. The short, serial end of the way to LLVM; see LowerToLLVM.cpp for the long, parallel part. Must not
// look into bodies beyond calls, returns and lookups.
#include "passes/Cpu/ByteTables.h"
#include "passes/Cpu/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

namespace burin {
#define GEN_PASS_DEF_CONVERTFUNCTIONS
#include "passes/Cpu/Passes.h.inc"
} // namespace burin

using namespace mlir;
using namespace burin;

namespace {

struct ConvertFunctions : burin::impl::ConvertFunctionsBase<ConvertFunctions> {
  using ConvertFunctionsBase::ConvertFunctionsBase;

  void runOnOperation() override {
    const Machine *machine = findMachine(machineName);
    if (!machine) {
      getOperation().emitError("unknown machine '") << machineName << "', expected one of: " << machineNames();
      return signalPassFailure();
    }
    indexBits = machine->indexBits();
    for (auto function : llvm::make_early_inc_range(getOperation().getOps<func::FuncOp>()))
      if (failed(convert(function)))
        return signalPassFailure();
    cpu::placeTables(getOperation());
  }

  LogicalResult convert(func::FuncOp function) {
    MLIRContext *ctx = &getContext();
    Type pointer = LLVM::LLVMPointerType::get(ctx);
    Type word = IntegerType::get(ctx, 64);
    auto convertType = [&](Type type) { return isa<MemRefType>(type) ? pointer : type.isIndex() ? word : type; };
    if (function.isExternal() || function.getNumResults() > 1)
      return function.emitError("expected a function with a body and at most one result");
    OpBuilder builder(function);
    auto type = LLVM::LLVMFunctionType::get(function.getNumResults() ? function.getResultTypes()[0]
                                                                     : LLVM::LLVMVoidType::get(ctx),
                                            llvm::map_to_vector(function.getArgumentTypes(), convertType));
    auto converted = LLVM::LLVMFuncOp::create(builder, function.getLoc(), function.getSymName(), type,
                                              function.isPrivate() ? LLVM::Linkage::Internal : LLVM::Linkage::External);
    converted.getBody().takeBody(function.getBody());
    for (unsigned i = 0; i < function.getNumArguments(); ++i) {
      for (NamedAttribute attr : mlir::function_interface_impl::getArgAttrs(function, i))
        if (attr.getName().getValue().starts_with("llvm."))
          converted.setArgAttr(i, attr.getName(), attr.getValue());
      BlockArgument argument = converted.getArgument(i);
      if (argument.getType() == type.getParamType(i))
        continue;
      argument.setType(type.getParamType(i));
      for (Operation *user : llvm::make_early_inc_range(argument.getUsers())) {
        auto cast = dyn_cast<UnrealizedConversionCastOp>(user);
        // Who calls a function by its pointer passes sizes of 64 bits on every machine.
        if (cast && argument.getType() == word && cast.getResult(0).getType().isInteger(indexBits) && indexBits < 64) {
          builder.setInsertionPoint(cast);
          cast.getResult(0).replaceAllUsesWith(
              LLVM::TruncOp::create(builder, cast.getLoc(), cast.getResult(0).getType(), argument));
          cast.erase();
          continue;
        }
        if (!cast || cast.getResult(0).getType() != argument.getType())
          return user->emitError("expected every use of an argument to be in the LLVM dialect");
        cast.getResult(0).replaceAllUsesWith(argument);
        cast.erase();
      }
    }
    WalkResult walked = converted.walk([&](Operation *op) {
      builder.setInsertionPoint(op);
      if (isa<func::ReturnOp>(op)) {
        LLVM::ReturnOp::create(builder, op->getLoc(), op->getOperands());
        op->erase();
      } else if (auto call = dyn_cast<func::CallOp>(op)) {
        SmallVector<Value> operands;
        SmallVector<Operation *> casts;
        for (Value operand : call.getOperands()) {
          auto cast = operand.getDefiningOp<UnrealizedConversionCastOp>();
          Type wanted = convertType(operand.getType());
          bool converts = wanted != operand.getType();
          if (converts && cast && wanted == word && cast.getOperand(0).getType().isInteger(indexBits) &&
              indexBits < 64) {
            operands.push_back(LLVM::SExtOp::create(builder, call.getLoc(), word, cast.getOperand(0)));
            casts.push_back(cast);
            continue;
          }
          if (converts && (!cast || cast.getOperand(0).getType() != wanted))
            return call.emitError() << "expected an operand made from " << wanted, WalkResult::interrupt();
          operands.push_back(converts ? cast.getOperand(0) : operand);
          if (cast)
            casts.push_back(cast);
        }
        LLVM::CallOp::create(builder, call.getLoc(), call.getResultTypes(), call.getCallee(), operands);
        call.erase();
        for (Operation *cast : casts)
          if (cast->use_empty())
            cast->erase();
      } else if (auto address = dyn_cast<func::ConstantOp>(op)) {
        // Of whom the others take the address: its only use is a cast to a pointer.
        auto cast = address->hasOneUse() ? dyn_cast<UnrealizedConversionCastOp>(*address->user_begin())
                                         : UnrealizedConversionCastOp();
        if (!cast || cast.getResult(0).getType() != pointer)
          return address.emitError("expected a function's address to become a pointer"), WalkResult::interrupt();
        cast.getResult(0).replaceAllUsesWith(
            LLVM::AddressOfOp::create(builder, address.getLoc(), pointer, address.getValue()));
        cast.erase();
        address.erase();
      }
      return WalkResult::advance();
    });
    function.erase();
    return failure(walked.wasInterrupted());
  }

  unsigned indexBits;
};

} // namespace
