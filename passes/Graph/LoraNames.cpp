// The tables behind graph-merge-lora: suffixes and prefixes of adapter keys as PEFT, kohya's scripts and diffusers
// write them, and the names of projections that models fuse. A new spelling is a row here.
#include "passes/Graph/LoraNames.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using llvm::ArrayRef;
using llvm::StringRef;

namespace burin::graph::lora {

namespace {

struct Suffix {
  StringRef text;
  Role role;
};
const Suffix suffixes[] = {
    {".lora_A.weight", Role::Down},
    {".lora_B.weight", Role::Up},
    {".lora_embedding_A", Role::Down},
    {".lora_embedding_B", Role::Up},
    {".lora_linear_layer.down.weight", Role::Down},
    {".lora_linear_layer.up.weight", Role::Up},
    {".lora.down.weight", Role::Down},
    {".lora.up.weight", Role::Up},
    {"_lora.down.weight", Role::Down},
    {"_lora.up.weight", Role::Up},
    {".lora_down.weight", Role::Down},
    {".lora_up.weight", Role::Up},
    {".lora_mid.weight", Role::Mid},
    {".alpha", Role::Alpha},
};

// What ends keys of methods that are not a product of two matrices.
const std::pair<StringRef, StringRef> others[] = {
    {"lora_magnitude_vector", "DoRA"},
    {"dora_scale", "DoRA"},
    {"hada_w", "LoHa"},
    {"lokr_w", "LoKr"},
    {"lokr_t", "LoKr"},
    {"oft_", "OFT"},
    {"ia3_l", "IA3"},
    {".diff", "a full difference"},
};

// A prefix and the component it stands for; empty: none.
const std::pair<StringRef, StringRef> prefixes[] = {
    {"base_model.model.", ""},
    {"base_model.", ""},
    {"lora_unet_", "unet"},
    {"lycoris_", ""},
    {"lora_te1_", "text_encoder"},
    {"lora_te2_", "text_encoder_2"},
    {"lora_te3_", "text_encoder_3"},
    {"lora_te_", "text_encoder"},
    {"lora_transformer_", "transformer"},
    {"unet.", "unet"},
    {"text_encoder_2.", "text_encoder_2"},
    {"text_encoder_3.", "text_encoder_3"},
    {"text_encoder.", "text_encoder"},
    {"transformer.", "transformer"},
    {"diffusion_model.", ""},
    {"module.", ""},
    {"model.", ""},
};

const StringRef qkvWhole[] = {"qkv_proj", "to_qkv", "in_proj", "c_attn", "Wqkv", "wqkv", "qkv"};
const StringRef gateWhole[] = {"gate_up_proj"};
const StringRef qkvProj[] = {"q_proj", "k_proj", "v_proj"}, qkvTo[] = {"to_q", "to_k", "to_v"},
                qkvWord[] = {"query", "key", "value"}, qkvW[] = {"wq", "wk", "wv"}, qkvLetter[] = {"q", "k", "v"};
const StringRef gateProj[] = {"gate_proj", "up_proj"};
const ArrayRef<StringRef> qkvSplit[] = {qkvProj, qkvTo, qkvWord, qkvW, qkvLetter}, gateSplit[] = {gateProj};

struct Family {
  ArrayRef<StringRef> whole;
  ArrayRef<ArrayRef<StringRef>> split;
};
const Family families[] = {{qkvWhole, qkvSplit}, {gateWhole, gateSplit}};

std::string joined(StringRef name) {
  std::string text = name.str();
  for (char &c : text)
    if (c == '.' || c == '/')
      c = '_';
  return text;
}

bool endsWith(StringRef name, StringRef last) {
  return name == last ||
         (name.ends_with(last) && name.size() > last.size() && name[name.size() - last.size() - 1] == '_');
}

struct Last {
  StringRef text;
  const Family *family = nullptr;
  int64_t index = -1, count = 0; // of a part; -1: the whole
};

Last lastOf(StringRef name) {
  Last best;
  auto offer = [&](StringRef text, const Family &family, int64_t index, int64_t count) {
    if (text.size() > best.text.size() && endsWith(name, text))
      best = {text, &family, index, count};
  };
  for (const Family &family : families) {
    for (StringRef whole : family.whole)
      offer(whole, family, -1, 0);
    for (ArrayRef<StringRef> split : family.split)
      for (auto [i, part] : llvm::enumerate(split))
        offer(part, family, i, split.size());
  }
  return best;
}

// The original Stable Diffusion code numbers a UNet's blocks through, three a level; diffusers, which exports come
// from, names level and layer. Rows: what a block or layer is called there and here.
const std::pair<StringRef, StringRef> fixedBlocks[] = {
    {"time_embed_0", "time_embedding_linear_1"},
    {"time_embed_2", "time_embedding_linear_2"},
    {"label_emb_0_0", "add_embedding_linear_1"},
    {"label_emb_0_2", "add_embedding_linear_2"},
    {"input_blocks_0_0", "conv_in"},
    {"out_2", "conv_out"},
    {"middle_block_0_", "mid_block_resnets_0_"},
    {"middle_block_1_", "mid_block_attentions_0_"},
    {"middle_block_2_", "mid_block_resnets_1_"},
};
const std::pair<StringRef, StringRef> resnetLayers[] = {{"in_layers_2", "conv1"},
                                                        {"emb_layers_1", "time_emb_proj"},
                                                        {"out_layers_3", "conv2"},
                                                        {"skip_connection", "conv_shortcut"}};

// Empty where the name is not of that kind.
std::string fromNumberedBlocks(StringRef name) {
  std::string result;
  for (auto [theirs, ours] : fixedBlocks)
    if (theirs.ends_with("_") ? name.starts_with(theirs) : name == theirs)
      result = (ours + name.drop_front(theirs.size())).str();
  bool isInput = name.consume_front("input_blocks_");
  unsigned block, part;
  if (result.empty() && (isInput || name.consume_front("output_blocks_"))) {
    if (name.consumeInteger(10, block) || !name.consume_front("_") || name.consumeInteger(10, part) ||
        !name.consume_front("_") || (isInput && block == 0))
      return "";
    // The first input block is the stem.
    block -= isInput;
    std::string level = (isInput ? "down_blocks_" : "up_blocks_") + std::to_string(block / 3) + "_";
    std::string layer = "_" + std::to_string(block % 3) + "_";
    if (name == "op")
      result = level + "downsamplers_0_conv";
    else if (name == "conv")
      result = level + "upsamplers_0_conv";
    else
      result = level + (part == 0 ? "resnets" : "attentions") + layer + name.str();
  }
  for (auto [theirs, ours] : resnetLayers)
    if (size_t at = result.rfind(theirs.str()); at != std::string::npos && at + theirs.size() == result.size())
      result.replace(at, theirs.size(), ours.str());
  return result;
}

// PEFT in training puts the adapter's own name in: ".lora_A.NAME.weight", ".lora_embedding_A.NAME". The key without.
std::string withoutAdapterName(StringRef key) {
  llvm::SmallVector<StringRef> parts;
  key.split(parts, '.');
  for (size_t i = 1; i + 1 < parts.size(); ++i) {
    bool isFactor = parts[i] == "lora_A" || parts[i] == "lora_B";
    bool isEmbedding = parts[i] == "lora_embedding_A" || parts[i] == "lora_embedding_B";
    if (!(isFactor && i + 3 == parts.size() && parts.back() == "weight") && !(isEmbedding && i + 2 == parts.size()))
      continue;
    parts.erase(parts.begin() + i + 1);
    return llvm::join(parts, ".");
  }
  return key.str();
}

} // namespace

std::optional<Key> parseKey(StringRef given, std::string &why) {
  std::string plain = withoutAdapterName(given);
  StringRef key = plain;
  for (auto [text, method] : others)
    if (key.contains(text))
      return why = "expected a LoRA key, got one of " + method.str(), std::nullopt;
  const Suffix *suffix = llvm::find_if(suffixes, [&](const Suffix &s) { return key.ends_with(s.text); });
  if (suffix == std::end(suffixes) || key.size() == suffix->text.size())
    return why = "expected a LoRA key such as NAME.lora_A.weight or NAME.lora_down.weight, got another", std::nullopt;
  Key result;
  result.role = suffix->role;
  result.isEmbedding = suffix->text.contains("embedding");
  std::string name = key.drop_back(suffix->text.size()).str();
  // The oldest form hangs adapters on attention processors, not on the layers themselves.
  if (suffix->text.starts_with("_lora")) {
    if (size_t at = name.find(".processor."); at != std::string::npos)
      name.erase(at, 10);
    if (StringRef(name).ends_with(".to_out"))
      name += ".0";
  }
  StringRef rest = name;
  result.module = rest.str();
  result.candidates.push_back(joined(rest));
  while (true) {
    auto prefix = llvm::find_if(
        prefixes, [&](const auto &p) { return rest.starts_with(p.first) && rest.size() > p.first.size(); });
    if (prefix == std::end(prefixes))
      break;
    rest = rest.drop_front(prefix->first.size());
    if (result.component.empty())
      result.component = prefix->second.str();
    if (prefix->first.starts_with("base_model."))
      result.module = rest.str();
    result.candidates.push_back(joined(rest));
  }
  if (std::string named = fromNumberedBlocks(result.candidates.back()); !named.empty())
    result.candidates.push_back(named);
  return result;
}

std::string moduleOfWeight(StringRef initializer) {
  initializer.consume_back(".weight");
  return joined(initializer);
}

std::string moduleOfNode(StringRef node) {
  llvm::SmallVector<StringRef> parts;
  node.split(parts, '/', -1, /*KeepEmpty=*/false);
  if (!node.contains('/') || parts.size() < 2)
    return "";
  parts.pop_back();
  std::string text;
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i + 1 < parts.size() && parts[i + 1].starts_with(parts[i]) && parts[i + 1].size() > parts[i].size() &&
        parts[i + 1][parts[i].size()] == '.')
      continue;
    text += (text.empty() ? "" : "_") + joined(parts[i]);
  }
  return text;
}

int match(StringRef name, StringRef own) { return name == own ? 2 : endsWith(own, name) ? 1 : 0; }

std::string withLast(StringRef name, StringRef last) {
  if (last.empty())
    return name.str();
  Last held = lastOf(name);
  return held.family ? (name.drop_back(held.text.size()) + last).str() : "";
}

std::optional<FusedPart> partOfFused(StringRef name) {
  Last held = lastOf(name);
  if (!held.family || held.index < 0)
    return std::nullopt;
  return FusedPart{held.index, held.count, held.family->whole};
}

ArrayRef<ArrayRef<StringRef>> partsOf(StringRef name) {
  Last held = lastOf(name);
  return held.family && held.index < 0 ? held.family->split : ArrayRef<ArrayRef<StringRef>>();
}

} // namespace burin::graph::lora
