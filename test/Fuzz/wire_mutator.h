// A mutator that keeps protobuf's lengths right: it edits one field somewhere in the tree of messages, so that a change
// deep in a model reaches the code that reads it. Plain byte mutations nearly all end as "truncated".
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

extern "C" size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t maxSize);

namespace wire {

struct Field {
  uint64_t tag = 0, number = 0;
  std::string bytes;
  std::vector<Field> nested; // set where the bytes read as a message
};

inline bool varint(const std::string &data, size_t &at, uint64_t &value) {
  value = 0;
  for (unsigned shift = 0; shift < 64 && at < data.size(); shift += 7) {
    uint8_t byte = data[at++];
    value |= uint64_t(byte & 127) << shift;
    if (byte < 128)
      return true;
  }
  return false;
}

inline void put(std::string &out, uint64_t value) {
  for (; value >= 128; value >>= 7)
    out += char(value | 128);
  out += char(value);
}

inline bool parse(const std::string &data, std::vector<Field> &out, unsigned depth) {
  for (size_t at = 0; at < data.size();) {
    Field field;
    uint64_t length;
    if (!varint(data, at, field.tag) || field.tag >> 3 == 0 || field.tag >> 3 > 64)
      return false;
    switch (field.tag & 7) {
    case 0:
      if (!varint(data, at, field.number))
        return false;
      break;
    case 1:
    case 5: {
      size_t size = (field.tag & 7) == 1 ? 8 : 4;
      if (data.size() - at < size)
        return false;
      field.bytes = data.substr(at, size);
      at += size;
      break;
    }
    case 2:
      if (!varint(data, at, length) || length > data.size() - at)
        return false;
      field.bytes = data.substr(at, length);
      at += length;
      if (depth < 24 && !parse(field.bytes, field.nested, depth + 1))
        field.nested.clear();
      break;
    default:
      return false;
    }
    out.push_back(std::move(field));
  }
  return true;
}

inline std::string serialize(const std::vector<Field> &fields) {
  std::string out;
  for (const Field &field : fields) {
    put(out, field.tag);
    std::string bytes = field.nested.empty() ? field.bytes : serialize(field.nested);
    if ((field.tag & 7) == 0)
      put(out, field.number);
    else if ((field.tag & 7) == 2)
      put(out, bytes.size());
    out += bytes;
  }
  return out;
}

inline void edit(std::vector<Field> &fields, std::minstd_rand &rng) {
  if (fields.empty())
    return;
  size_t i = rng() % fields.size();
  Field &field = fields[i];
  if (!field.nested.empty() && rng() % 8)
    return edit(field.nested, rng);
  switch (rng() % 7) {
  case 0:
    fields.erase(fields.begin() + i);
    return;
  case 1:
    fields.push_back(field);
    return;
  case 2:
    std::swap(field, fields[rng() % fields.size()]);
    return;
  case 3: { // the same kind of thing from elsewhere
    const Field &other = fields[rng() % fields.size()];
    if ((other.tag & 7) == (field.tag & 7)) {
      uint64_t tag = field.tag;
      Field copy = other;
      copy.tag = tag;
      fields[i] = std::move(copy);
    }
    return;
  }
  default:
    if ((field.tag & 7) == 0) {
      static const uint64_t known[] = {0,
                                       1,
                                       2,
                                       3,
                                       5,
                                       7,
                                       11,
                                       16,
                                       21,
                                       28,
                                       127,
                                       1u << 31,
                                       uint64_t(1) << 40,
                                       uint64_t(1) << 62,
                                       ~uint64_t(0),
                                       ~uint64_t(0) >> 1};
      field.number = rng() % 2 ? known[rng() % 16] : field.number + rng() % 5 - 2;
    } else {
      size_t size = field.bytes.size(), room = (field.tag & 7) == 2 ? size + 16 : size;
      field.nested.clear();
      field.bytes.resize(room ? room : 1);
      size_t now = LLVMFuzzerMutate(reinterpret_cast<uint8_t *>(&field.bytes[0]), size, field.bytes.size());
      field.bytes.resize((field.tag & 7) == 2 ? now : room);
    }
  }
}

} // namespace wire

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t maxSize, unsigned seed) {
  std::minstd_rand rng(seed);
  std::vector<wire::Field> fields;
  if (rng() % 8 == 0 || !wire::parse(std::string(reinterpret_cast<char *>(data), size), fields, 0))
    return LLVMFuzzerMutate(data, size, maxSize);
  for (unsigned n = 1 + rng() % 3; n; --n)
    wire::edit(fields, rng);
  std::string out = wire::serialize(fields);
  if (out.size() > maxSize)
    return LLVMFuzzerMutate(data, size, maxSize);
  memcpy(data, out.data(), out.size());
  return out.size();
}
