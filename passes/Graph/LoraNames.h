// Private: the names of LoRA files and of exported graphs, brought to one form: components joined by '_', as kohya's
// files have lost the difference between '.' and '_'.
#ifndef BURIN_PASSES_GRAPH_LORANAMES_H
#define BURIN_PASSES_GRAPH_LORANAMES_H

#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringRef.h"

#include <optional>
#include <string>

namespace burin::graph::lora {

enum class Role { Down, Up, Mid, Alpha };

struct Key {
  std::string module;    // "model.layers.0.self_attn.q_proj", PEFT's own prefix removed
  std::string component; // "unet", "text_encoder", ...; empty where the key names none
  Role role;
  bool isEmbedding = false;
  llvm::SmallVector<std::string> candidates; // of the module's name, from the longest to the barest
};

/// PEFT, kohya and diffusers keys. Nothing, with `why` set, for a key of another method or of none.
std::optional<Key> parseKey(llvm::StringRef key, std::string &why);

/// "model.layers.0.q_proj.weight" and "/model/layers.0/q_proj/MatMul" -> "model_layers_0_q_proj".
std::string moduleOfWeight(llvm::StringRef initializer);
/// Empty where the node's name has no scope. Scopes that repeat their parent's name (/net/net.0/) count once.
std::string moduleOfNode(llvm::StringRef node);

/// 2: the same module; 1: `own` has components in front; 0: another one.
int match(llvm::StringRef name, llvm::StringRef own);

/// A name with its last component, if that is one of a split or fused projection, replaced; empty where it is none.
/// `last` empty: the name.
std::string withLast(llvm::StringRef name, llvm::StringRef last);

/// Which part of a fused projection a name is: queries, keys, values of attention, gate and up of a gated layer.
struct FusedPart {
  int64_t index, count;
  llvm::ArrayRef<llvm::StringRef> fused; // last components under which exporters and models know the whole
};
std::optional<FusedPart> partOfFused(llvm::StringRef name);
/// The other way round: the last components that a fused name may be split into.
llvm::ArrayRef<llvm::ArrayRef<llvm::StringRef>> partsOf(llvm::StringRef name);

} // namespace burin::graph::lora

#endif
