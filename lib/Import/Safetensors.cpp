// The safetensors container. Each number of the file is compared with what is left before it is used; sizes are
// computed with overflow checks. Tensors that overlap or leave holes are refused, as the format's own reader does: both
// are how one file says different things to different readers.
#include "lib/Import/Safetensors.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSwitch.h"
#include "llvm/Support/Endian.h"
#include "llvm/Support/MathExtras.h"

using llvm::StringRef;

namespace burin {

namespace {
constexpr uint64_t maxHeader = 100'000'000;
constexpr size_t maxTensors = 1'000'000, maxRank = 16;
constexpr unsigned maxNesting = 32;
} // namespace

unsigned safetensorsBits(StringRef dtype) {
  return llvm::StringSwitch<unsigned>(dtype)
      .Cases({"F64", "I64", "U64"}, 64)
      .Cases({"F32", "I32", "U32"}, 32)
      .Cases({"F16", "BF16", "I16", "U16"}, 16)
      .Cases({"I8", "U8", "BOOL", "F8_E4M3", "F8_E5M2", "F8_E8M0"}, 8)
      .Default(0);
}

std::optional<llvm::json::Value> parseJson(StringRef text, std::string &error) {
  unsigned depth = 0;
  bool isText = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (isText && c == '\\')
      ++i;
    else if (c == '"')
      isText = !isText;
    else if (!isText && (c == '{' || c == '[') && ++depth > maxNesting)
      return error = "expected JSON of at most " + std::to_string(maxNesting) + " levels, got more", std::nullopt;
    else if (!isText && (c == '}' || c == ']') && depth)
      --depth;
  }
  auto value = llvm::json::parse(text);
  if (value)
    return std::move(*value);
  llvm::consumeError(value.takeError());
  error = "expected JSON, got text that does not parse as it";
  return std::nullopt;
}

// A dim or an offset: a whole number that a double holds exactly.
static std::optional<int64_t> natural(const llvm::json::Value &value) {
  auto number = value.getAsInteger();
  if (!number || *number < 0 || *number > (int64_t(1) << 53))
    return std::nullopt;
  return number;
}

static bool readEntry(StringRef name, const llvm::json::Value &value, StringRef data, SafetensorsEntry &entry,
                      std::string &error) {
  auto refuse = [&](std::string why) {
    error = "tensor '" + name.str() + "': " + why;
    return false;
  };
  const llvm::json::Object *object = value.getAsObject();
  auto dtype = object ? object->getString("dtype") : std::nullopt;
  const llvm::json::Array *shape = object ? object->getArray("shape") : nullptr;
  const llvm::json::Array *offsets = object ? object->getArray("data_offsets") : nullptr;
  if (!dtype || !shape || !offsets || offsets->size() != 2)
    return refuse("expected dtype, shape and two data_offsets, got something else");
  unsigned bits = safetensorsBits(*dtype);
  if (!bits)
    return refuse("expected a known dtype such as F32 or F16, got '" + dtype->str() + "'");
  if (shape->size() > maxRank)
    return refuse("expected at most " + std::to_string(maxRank) + " dims, got " + std::to_string(shape->size()));
  uint64_t count = 1;
  for (const llvm::json::Value &dim : *shape) {
    auto size = natural(dim);
    bool overflows = false;
    if (size)
      count = llvm::SaturatingMultiply<uint64_t>(count, *size, &overflows);
    if (!size || overflows)
      return refuse("expected dims that are whole numbers of a tensor that fits, got something else");
    entry.shape.push_back(*size);
  }
  auto begin = natural((*offsets)[0]), end = natural((*offsets)[1]);
  if (!begin || !end || *begin > *end || uint64_t(*end) > data.size())
    return refuse("expected data_offsets within the " + std::to_string(data.size()) + " bytes of data, got others");
  uint64_t bytes = *end - *begin;
  if (count > UINT64_MAX / bits || count * bits / 8 != bytes)
    return refuse("expected the bytes that its shape needs, got " + std::to_string(bytes));
  entry.name = name.str();
  entry.dtype = dtype->str();
  entry.bytes = data.substr(*begin, bytes);
  return true;
}

std::optional<Safetensors> parseSafetensors(StringRef file, std::string &error) {
  if (file.size() < 8)
    return error = "expected a safetensors file, got " + std::to_string(file.size()) + " bytes", std::nullopt;
  uint64_t length = llvm::support::endian::read64le(file.data());
  if (length > maxHeader || length > file.size() - 8)
    return error = "expected a safetensors header within the file, got a length of " + std::to_string(length),
           std::nullopt;
  StringRef header = file.substr(8, length), data = file.substr(8 + length);
  if (!header.starts_with("{"))
    return error = "expected a safetensors header that starts with '{', got another kind of file", std::nullopt;
  auto json = parseJson(header, error);
  const llvm::json::Object *object = json ? json->getAsObject() : nullptr;
  if (!object) {
    error = "safetensors header: " + (error.empty() ? "expected an object, got another value" : error);
    return std::nullopt;
  }
  if (object->size() > maxTensors)
    return error = "expected at most 1000000 tensors, got " + std::to_string(object->size()), std::nullopt;
  Safetensors result;
  for (const auto &[key, value] : *object) {
    StringRef name = key;
    if (name == "__metadata__") {
      if (const llvm::json::Object *metadata = value.getAsObject())
        for (const auto &[name, text] : *metadata)
          if (auto string = text.getAsString())
            result.metadata.emplace_back(StringRef(name).str(), string->str());
      continue;
    }
    result.tensors.emplace_back();
    if (!readEntry(name, value, data, result.tensors.back(), error))
      return std::nullopt;
  }

  llvm::sort(result.tensors, [](const SafetensorsEntry &a, const SafetensorsEntry &b) {
    return a.bytes.data() != b.bytes.data() ? a.bytes.data() < b.bytes.data() : a.bytes.size() < b.bytes.size();
  });
  const char *at = data.data();
  for (const SafetensorsEntry &entry : result.tensors) {
    if (entry.bytes.data() != at)
      return error = "tensor '" + entry.name + "': expected data without holes or overlaps, got a start elsewhere",
             std::nullopt;
    at = entry.bytes.end();
  }
  if (at != data.end())
    return error = "expected data without holes, got " + std::to_string(data.end() - at) + " bytes of no tensor",
           std::nullopt;
  llvm::sort(result.tensors, [](const SafetensorsEntry &a, const SafetensorsEntry &b) { return a.name < b.name; });
  llvm::sort(result.metadata);
  return result;
}

} // namespace burin
