// Wire format, the little of it that is needed:
//   message := (tag payload)*        tag = varint(field << 3 | type)
//   type 0: varint   type 1: 8 bytes   type 2: varint length, then that many bytes   type 5: 4 bytes
// Only the messages on the way from the model to a tensor's raw_data are entered; all else is copied as it is and left
// to protobuf to judge. Each length is compared with the bytes that are left before it is used.
#include "lib/Import/Skeleton.h"

#include "llvm/ADT/StringExtras.h"

#include <cstring>

using llvm::StringRef;

namespace burin {

namespace {

enum Kind { Model, Graph, Node, Attribute, Tensor, Sparse, Function, Other };
const char *const kindNames[] = {"model", "graph", "node", "attribute", "tensor", "sparse tensor", "function", "value"};

// Which message a length-delimited field of `kind` holds; numbers from onnx.proto.
Kind child(Kind kind, uint64_t field) {
  switch (kind) {
  case Model:
    return field == 7 ? Graph : field == 25 ? Function : Other;
  case Graph:
    return field == 1 ? Node : field == 5 ? Tensor : field == 15 ? Sparse : Other;
  case Node:
    return field == 5 ? Attribute : Other;
  case Attribute:
    return field == 5 || field == 10    ? Tensor
           : field == 6 || field == 11  ? Graph
           : field == 22 || field == 23 ? Sparse
                                        : Other;
  case Function:
    return field == 7 ? Node : field == 11 ? Attribute : Other;
  case Sparse:
    return field == 1 || field == 2 ? Tensor : Other;
  default:
    return Other;
  }
}

constexpr uint64_t rawDataField = 9;
constexpr unsigned maxDepth = 3 * 64 + 8; // node, attribute and graph for each nested graph
const StringRef magic("\xB0\x1FWEIGHT\x01", 9);

void putVarint(std::string &out, uint64_t value) {
  while (value >= 128) {
    out += char(value | 128);
    value >>= 7;
  }
  out += char(value);
}

struct Walker {
  StringRef file;
  uint64_t threshold;
  Skeleton &skeleton;
  std::string &error;

  bool fail(std::string text) {
    if (error.empty())
      error = std::move(text);
    return false;
  }

  // Advances `at`; false at the end of the message or for more than ten bytes.
  static bool varint(StringRef data, size_t &at, uint64_t &value) {
    value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
      if (at >= data.size())
        return false;
      uint8_t byte = data[at++];
      if (shift < 64)
        value |= uint64_t(byte & 127) << shift;
      if (byte < 128)
        return true;
    }
    return false;
  }

  bool walk(StringRef data, Kind kind, unsigned depth, std::string &out) {
    if (depth > maxDepth)
      return fail("expected at most 64 nested graphs, got more");
    for (size_t at = 0; at < data.size();) {
      size_t start = at;
      uint64_t tag, length = 0;
      auto truncated = [&](uint64_t wanted) {
        uint64_t offset = data.data() - file.data() + start;
        return fail("truncated: a field of a " + std::string(kindNames[kind]) + " at byte " + std::to_string(offset) +
                    " needs " + std::to_string(wanted) + " bytes, got " +
                    std::to_string(data.size() - std::min(at, data.size())));
      };
      if (!varint(data, at, tag))
        return truncated(1);
      uint64_t field = tag >> 3;
      switch (tag & 7) {
      case 0:
        if (!varint(data, at, length))
          return truncated(1);
        break;
      case 1:
      case 5: {
        uint64_t size = (tag & 7) == 1 ? 8 : 4;
        if (data.size() - at < size)
          return truncated(size);
        at += size;
        break;
      }
      case 2: {
        if (!varint(data, at, length))
          return truncated(1);
        if (length > data.size() - at)
          return truncated(length);
        StringRef payload = data.substr(at, length);
        at += length;
        if (Kind inner = child(kind, field); inner != Other) {
          std::string sub;
          if (!walk(payload, inner, depth + 1, sub))
            return false;
          putVarint(out, tag);
          putVarint(out, sub.size());
          out += sub;
          continue;
        }
        if (kind == Tensor && field == rawDataField && length > threshold) {
          std::string marker = makeMarker(skeleton.weights.size());
          skeleton.weights.push_back(payload);
          putVarint(out, tag);
          putVarint(out, marker.size());
          out += marker;
          continue;
        }
        break;
      }
      default:
        return fail("expected a protobuf field at byte " + std::to_string(data.data() - file.data() + start) +
                    ", got wire type " + std::to_string(tag & 7));
      }
      out.append(data.data() + start, at - start);
    }
    return true;
  }
};

// A first byte that no ONNX exporter writes says more clearly than a parse error that this is another kind of file.
bool startsLikeModel(StringRef file) {
  if (file.empty())
    return false;
  unsigned field = uint8_t(file[0]) >> 3, type = uint8_t(file[0]) & 7;
  switch (field) {
  case 1: // ir_version
  case 5: // model_version
    return type == 0;
  case 2:  // producer_name
  case 3:  // producer_version
  case 4:  // domain
  case 6:  // doc_string
  case 7:  // graph
  case 8:  // opset_import
  case 14: // metadata_props
    return type == 2;
  default: // fields above 15 have a tag of two bytes
    return type == 2 && uint8_t(file[0]) >= 128;
  }
}

} // namespace

std::string makeMarker(uint64_t index) {
  std::string marker = magic.str();
  for (int i = 0; i < 8; ++i)
    marker += char(index >> (8 * i));
  return marker;
}

std::optional<uint64_t> readMarker(StringRef bytes) {
  if (bytes.size() != magic.size() + 8 || !bytes.starts_with(magic))
    return std::nullopt;
  uint64_t index = 0;
  for (int i = 0; i < 8; ++i)
    index |= uint64_t(uint8_t(bytes[magic.size() + i])) << (8 * i);
  return index;
}

bool makeSkeleton(StringRef file, uint64_t threshold, Skeleton &skeleton, std::string &error) {
  if (file.empty()) {
    error = "expected an ONNX model, got an empty file";
    return false;
  }
  if (!startsLikeModel(file)) {
    error = "expected an ONNX model (protobuf), got another kind of file";
    return false;
  }
  return Walker{file, threshold, skeleton, error}.walk(file, Model, 0, skeleton.bytes);
}

} // namespace burin
