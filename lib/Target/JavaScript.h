// What a browser or node needs beside a WebAssembly module: an ES module that loads and calls it, its types, a page.
#ifndef BURIN_LIB_TARGET_JAVASCRIPT_H
#define BURIN_LIB_TARGET_JAVASCRIPT_H

#include "lib/Target/Description.h"
#include "llvm/Support/raw_ostream.h"

namespace burin {

/// `load()` and `run({input: Float32Array})` over the module in the file `wasm` beside it. Of static models.
void writeJavaScript(const ModelDescription &model, llvm::StringRef wasm, llvm::StringRef version,
                     llvm::raw_ostream &out);

/// The types of it, for TypeScript.
void writeTypeScript(const ModelDescription &model, llvm::raw_ostream &out);

/// A page that feeds a camera or a picture to the first input that looks like an image, and shows the outputs.
void writeDemoPage(const ModelDescription &model, llvm::StringRef script, llvm::raw_ostream &out);

} // namespace burin

#endif
