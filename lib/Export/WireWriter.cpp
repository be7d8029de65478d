// The walk of Skeleton.cpp the other way round: every message on the way to a marker gets a new length. The plan is a
// flat list of byte ranges and weights, made bottom up, so writing is one pass without memory of its own.
#include "lib/Export/WireWriter.h"

#include "lib/Import/Skeleton.h"

using namespace mlir;
using ::onnx::GraphProto;
using ::onnx::ModelProto;
using ::onnx::TensorProto;

namespace burin {

namespace {

enum Kind : unsigned { Model, Graph, Node, Attribute, Tensor, Other };

Kind child(unsigned kind, uint64_t field) {
  switch (kind) {
  case Model:
    return field == 7 ? Graph : Other;
  case Graph:
    return field == 1 ? Node : field == 5 ? Tensor : Other;
  case Node:
    return field == 5 ? Attribute : Other;
  case Attribute:
    return field == 5 || field == 10 ? Tensor : field == 6 || field == 11 ? Graph : Other;
  default:
    return Other;
  }
}

// The bytes are our own library's: no check beyond the end of the string is needed.
uint64_t readVarint(StringRef data, size_t &at) {
  uint64_t value = 0;
  for (unsigned shift = 0; at < data.size() && shift < 64; shift += 7) {
    uint8_t byte = data[at++];
    value |= uint64_t(byte & 127) << shift;
    if (byte < 128)
      break;
  }
  return value;
}

void putVarint(std::string &out, uint64_t value) {
  while (value >= 128) {
    out += char(value | 128);
    value >>= 7;
  }
  out += char(value);
}

} // namespace

uint64_t WireWriter::weightSize(ElementsAttr attr) {
  return *onnx::getRawSize(attr.getElementType(), attr.getNumElements());
}

// Returns the size of the message once weights are in place; `parts` receives what to write.
uint64_t WireWriter::plan(StringRef message, unsigned kind, std::vector<Part> &out, unsigned depth) {
  uint64_t size = 0;
  size_t base = message.data() - skeleton.data();
  auto copy = [&](size_t begin, size_t end) {
    if (!out.empty() && !out.back().head && out.back().weight < 0 && out.back().end == base + begin)
      out.back().end = base + end;
    else
      out.push_back({base + begin, base + end, false, -1});
    size += end - begin;
  };
  auto head = [&](uint64_t tag, uint64_t length) {
    size_t begin = heads.size();
    putVarint(heads, tag);
    putVarint(heads, length);
    out.push_back({begin, heads.size(), true, -1});
    size += heads.size() - begin + length;
  };
  for (size_t at = 0; at < message.size();) {
    size_t start = at;
    uint64_t tag = readVarint(message, at);
    switch (tag & 7) {
    case 0:
      readVarint(message, at);
      break;
    case 1:
      at += 8;
      break;
    case 5:
      at += 4;
      break;
    default: {
      uint64_t length = readVarint(message, at);
      StringRef payload = message.substr(at, length);
      at += length;
      if (Kind inner = child(kind, tag >> 3); inner != Other) {
        std::vector<Part> sub;
        uint64_t innerSize = plan(payload, inner, sub, depth + 1);
        if (innerSize != payload.size()) {
          head(tag, innerSize);
          out.insert(out.end(), sub.begin(), sub.end());
          continue;
        }
      } else if (kind == Tensor && (tag >> 3) == 9) {
        if (auto marker = readMarker(payload); marker && *marker < weights.size()) {
          head(tag, weightSize(weights[*marker]));
          out.push_back({0, 0, false, int64_t(*marker)});
          continue;
        }
      }
    }
    }
    copy(start, std::min(at, message.size()));
  }
  return size;
}

bool WireWriter::measure(const ModelProto &model) {
  skeleton.clear();
  heads.clear();
  parts.clear();
  if (!model.SerializeToString(&skeleton))
    return false;
  return plan(skeleton, Model, parts, 0) < (uint64_t(1) << 31) - 1;
}

void WireWriter::writeWeight(ElementsAttr attr, raw_ostream &out) {
  onnx::RawElements raw = *onnx::getRawElements(attr);
  uint64_t size = weightSize(attr);
  if (!raw.splat) {
    out.write(raw.bytes.data(), size);
    return;
  }
  // A splat is written in blocks; a packed type's one element first fills a byte (getRawElements keeps it in the low
  // bits).
  std::string block(raw.bytes.data(), raw.bytes.size());
  if (size < uint64_t(attr.getNumElements()) * block.size()) {
    TensorProto packed;
    onnx::setTensor(attr, packed);
    out << packed.raw_data();
    return;
  }
  while (block.size() < 1 << 16)
    block += block;
  for (uint64_t written = 0; written < size; written += block.size())
    out.write(block.data(), std::min<uint64_t>(block.size(), size - written));
}

void WireWriter::write(raw_ostream &out) {
  for (const Part &part : parts) {
    if (part.weight >= 0)
      writeWeight(weights[part.weight], out);
    else
      out.write((part.head ? heads : skeleton).data() + part.begin, part.end - part.begin);
  }
}

static void forEachTensor(GraphProto &graph, llvm::function_ref<void(TensorProto &)> body) {
  for (TensorProto &tensor : *graph.mutable_initializer())
    body(tensor);
  for (auto &node : *graph.mutable_node())
    for (auto &attr : *node.mutable_attribute())
      if (attr.has_g())
        forEachTensor(*attr.mutable_g(), body);
}

void WireWriter::moveOut(ModelProto &model, StringRef name) {
  uint64_t offset = 0;
  forEachTensor(*model.mutable_graph(), [&](TensorProto &tensor) {
    auto marker = readMarker(tensor.raw_data());
    if (!marker || *marker >= weights.size())
      return;
    uint64_t size = weightSize(weights[*marker]);
    offset = llvm::alignTo(offset, 64);
    auto entry = [&](const char *key, const std::string &value) {
      auto *e = tensor.add_external_data();
      e->set_key(key);
      e->set_value(value);
    };
    tensor.clear_raw_data();
    tensor.set_data_location(TensorProto::EXTERNAL);
    entry("location", name.str());
    entry("offset", std::to_string(offset));
    entry("length", std::to_string(size));
    data.emplace_back(offset, *marker);
    offset += size;
  });
}

void WireWriter::writeData(raw_ostream &out) {
  uint64_t at = 0;
  for (auto [offset, index] : data) {
    out.write_zeros(unsigned(offset - at));
    writeWeight(weights[index], out);
    at = offset + weightSize(weights[index]);
  }
}

} // namespace burin
