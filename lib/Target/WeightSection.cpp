// Writes weights, and the smallest object that can hold them. In ELF:
//
//   ELF header | .rodata.burin.weights | .symtab (null, section, PREFIX_weights) | .strtab | .shstrtab | section
//   headers
//
// By hand and not through MC, which would hold every byte in memory twice.
#include "lib/Target/WeightSection.h"
#include "burin/runtime.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "llvm/BinaryFormat/ELF.h"
#include "llvm/BinaryFormat/Wasm.h"
#include "llvm/Object/ELFTypes.h"
#include "llvm/Support/LEB128.h"
#include "llvm/TargetParser/Triple.h"

using namespace mlir;
using namespace llvm::object;
namespace ELF = llvm::ELF;

ArrayRef<char> burin::bytesOfElements(ElementsAttr elements, SmallVectorImpl<char> &scratch) {
  if (auto resource = dyn_cast<DenseResourceElementsAttr>(elements)) {
    AsmResourceBlob *blob = resource.getRawHandle().getBlob();
    return blob ? blob->getData() : ArrayRef<char>();
  }
  auto dense = dyn_cast<DenseElementsAttr>(elements);
  if (!dense || dense.isSplat() || isa<DenseStringElementsAttr>(dense))
    return {};
  if (dense.getElementType().isInteger(1)) { // packed bits in the attribute, bytes in memory
    scratch.clear();
    for (bool value : dense.getValues<bool>())
      scratch.push_back(value);
    return scratch;
  }
  return dense.getRawData();
}

static void writeSplat(DenseElementsAttr splat, llvm::raw_ostream &out) {
  SmallVector<char> element;
  if (splat.getElementType().isInteger(1))
    element.push_back(splat.getSplatValue<bool>());
  else
    element.assign(splat.getRawData().begin(), splat.getRawData().end());
  SmallVector<char> block;
  while (block.size() + element.size() <= 4096 || block.empty())
    block.append(element);
  uint64_t left = splat.getNumElements() * element.size();
  for (; left >= block.size(); left -= block.size())
    out.write(block.data(), block.size());
  out.write(block.data(), left);
}

void burin::writeWeight(const WeightDescription &weight, llvm::raw_ostream &out) {
  SmallVector<char> scratch;
  ArrayRef<char> bytes = bytesOfElements(weight.data, scratch);
  auto dense = dyn_cast<DenseElementsAttr>(weight.data);
  uint64_t written = weight.bytes;
  if (dense && dense.isSplat()) {
    writeSplat(dense, out);
  } else {
    written = std::min<uint64_t>(bytes.size(), weight.bytes);
    out.write(bytes.data(), written);
  }
  out.write_zeros(weight.bytes - written);
}

void burin::writeWeights(const ModelDescription &model, llvm::raw_ostream &out) {
  uint64_t at = 0;
  for (const WeightDescription &weight : model.weights) {
    out.write_zeros(weight.offset - at);
    writeWeight(weight, out);
    at = weight.offset + weight.bytes;
  }
  out.write_zeros(model.weightsBytes - at);
}

namespace {
void writeStored(const burin::ModelDescription &model, llvm::raw_ostream &out) {
  if (model.codedWeights.empty())
    burin::writeWeights(model, out);
  else
    out.write(model.codedWeights.data(), model.codedWeights.size());
}

template <typename ELFT>
void writeElf(const burin::ModelDescription &model, uint16_t machine, uint32_t flags, llvm::raw_ostream &out) {
  using Ehdr = typename ELFT::Ehdr;
  using Shdr = typename ELFT::Shdr;
  using Sym = typename ELFT::Sym;
  enum { Null, Weights, Symbols, Strings, SectionNames, Stack, Sections };

  std::string strings = '\0' + model.weightsSymbol() + '\0';
  std::string names(1, '\0');
  Shdr headers[Sections];
  std::memset(headers, 0, sizeof headers);
  uint64_t at = 0;
  auto place = [&](unsigned section, StringRef name, uint32_t type, uint64_t flags, uint64_t align, uint64_t size) {
    headers[section].sh_name = names.size();
    names += name.str() + '\0';
    at = llvm::alignTo(at, align);
    headers[section].sh_type = type;
    headers[section].sh_flags = flags;
    headers[section].sh_offset = at;
    headers[section].sh_addralign = align;
    headers[section].sh_size = size;
    at += size;
  };
  at = sizeof(Ehdr);
  place(Weights, ".rodata.burin.weights", ELF::SHT_PROGBITS, ELF::SHF_ALLOC, BURIN_ALIGNMENT, model.storedBytes());
  place(Symbols, ".symtab", ELF::SHT_SYMTAB, 0, sizeof(typename ELFT::uint), 2 * sizeof(Sym));
  headers[Symbols].sh_link = Strings;
  headers[Symbols].sh_info = 1; // the first that is not local
  headers[Symbols].sh_entsize = sizeof(Sym);
  place(Strings, ".strtab", ELF::SHT_STRTAB, 0, 1, strings.size());
  place(Stack, ".note.GNU-stack", ELF::SHT_PROGBITS, 0, 1, 0); // or linkers make the stack executable
  StringRef own = ".shstrtab";
  place(SectionNames, own, ELF::SHT_STRTAB, 0, 1, names.size() + own.size() + 1);
  uint64_t headersAt = llvm::alignTo(at, sizeof(typename ELFT::uint));

  Ehdr header;
  std::memset(&header, 0, sizeof header);
  std::memcpy(header.e_ident, ELF::ElfMagic, 4);
  header.e_ident[ELF::EI_CLASS] = ELFT::Is64Bits ? ELF::ELFCLASS64 : ELF::ELFCLASS32;
  header.e_ident[ELF::EI_DATA] = ELF::ELFDATA2LSB;
  header.e_ident[ELF::EI_VERSION] = ELF::EV_CURRENT;
  header.e_type = ELF::ET_REL;
  header.e_machine = machine;
  header.e_version = ELF::EV_CURRENT;
  header.e_shoff = headersAt;
  header.e_flags = flags;
  header.e_ehsize = sizeof(Ehdr);
  header.e_shentsize = sizeof(Shdr);
  header.e_shnum = Sections;
  header.e_shstrndx = SectionNames;

  Sym symbols[2];
  std::memset(symbols, 0, sizeof symbols);
  symbols[1].st_name = 1;
  symbols[1].setBindingAndType(ELF::STB_GLOBAL, ELF::STT_OBJECT);
  symbols[1].st_other = ELF::STV_HIDDEN;
  symbols[1].st_shndx = Weights;
  symbols[1].st_size = model.storedBytes();

  uint64_t position = 0;
  auto pad = [&](uint64_t to) {
    out.write_zeros(to - position);
    position = to;
  };
  auto write = [&](const void *bytes, uint64_t size) {
    out.write(static_cast<const char *>(bytes), size);
    position += size;
  };
  write(&header, sizeof header);
  pad(headers[Weights].sh_offset);
  writeStored(model, out);
  position += model.storedBytes();
  pad(headers[Symbols].sh_offset);
  write(symbols, sizeof symbols);
  pad(headers[Strings].sh_offset);
  write(strings.data(), strings.size());
  pad(headers[SectionNames].sh_offset);
  write(names.data(), names.size());
  pad(headersAt);
  write(headers, sizeof headers);
}
// The same as a WebAssembly object:
//
//   magic, version | import of the memory | count of data segments | the segment | "linking": a hidden symbol over it
//   and its alignment
//
// Sections and subsections are a byte that says which, their size and their contents.
llvm::Error writeWasmObject(const burin::ModelDescription &model, llvm::raw_ostream &out) {
  auto number = [](uint64_t value, llvm::raw_ostream &to) { llvm::encodeULEB128(value, to); };
  auto text = [&](StringRef value, llvm::raw_ostream &to) {
    number(value.size(), to);
    to << value;
  };
  auto section = [&](uint8_t kind, llvm::function_ref<void(llvm::raw_ostream &)> write, uint64_t more,
                     llvm::raw_ostream &to) {
    std::string contents;
    llvm::raw_string_ostream stream(contents);
    write(stream);
    to << kind;
    number(contents.size() + more, to);
    to << contents;
  };
  const uint64_t bytes = model.storedBytes();
  out.write("\0asm\1\0\0\0", 8);
  section(
      llvm::wasm::WASM_SEC_IMPORT,
      [&](llvm::raw_ostream &to) {
        number(1, to);
        text("env", to);
        text("__linear_memory", to);
        to << char(llvm::wasm::WASM_EXTERNAL_MEMORY) << '\0';
        number(llvm::divideCeil(bytes, uint64_t(llvm::wasm::WasmDefaultPageSize)), to);
      },
      0, out);
  section(llvm::wasm::WASM_SEC_DATACOUNT, [&](llvm::raw_ostream &to) { number(1, to); }, 0, out);
  section(
      llvm::wasm::WASM_SEC_DATA,
      [&](llvm::raw_ostream &to) {
        number(1, to);
        to << '\0' << char(llvm::wasm::WASM_OPCODE_I32_CONST) << '\0' << char(llvm::wasm::WASM_OPCODE_END);
        number(bytes, to);
      },
      bytes, out);
  writeStored(model, out);
  section(
      llvm::wasm::WASM_SEC_CUSTOM,
      [&](llvm::raw_ostream &to) {
        text("linking", to);
        number(llvm::wasm::WasmMetadataVersion, to);
        section(
            llvm::wasm::WASM_SYMBOL_TABLE,
            [&](llvm::raw_ostream &table) {
              number(1, table);
              table << char(llvm::wasm::WASM_SYMBOL_TYPE_DATA);
              number(llvm::wasm::WASM_SYMBOL_VISIBILITY_HIDDEN, table);
              text(model.weightsSymbol(), table);
              number(0, table); // segment
              number(0, table); // place in it
              number(bytes, table);
            },
            0, to);
        section(
            llvm::wasm::WASM_SEGMENT_INFO,
            [&](llvm::raw_ostream &segments) {
              number(1, segments);
              text(".rodata.burin.weights", segments);
              number(llvm::Log2_64(BURIN_ALIGNMENT), segments);
              number(0, segments);
            },
            0, to);
      },
      0, out);
  return llvm::Error::success();
}
} // namespace

llvm::Error burin::writeWeightObject(const ModelDescription &model, StringRef text, llvm::raw_ostream &out) {
  llvm::Triple triple(text);
  switch (triple.getArch()) {
  case llvm::Triple::x86_64:
    writeElf<ELF64LE>(model, ELF::EM_X86_64, 0, out);
    break;
  case llvm::Triple::aarch64:
    writeElf<ELF64LE>(model, ELF::EM_AARCH64, 0, out);
    break;
  case llvm::Triple::riscv64:
    writeElf<ELF64LE>(model, ELF::EM_RISCV, ELF::EF_RISCV_RVC | ELF::EF_RISCV_FLOAT_ABI_DOUBLE, out);
    break;
  case llvm::Triple::arm:
  case llvm::Triple::thumb:
    writeElf<ELF32LE>(model, ELF::EM_ARM, ELF::EF_ARM_EABI_VER5, out);
    break;
  case llvm::Triple::wasm32:
    return writeWasmObject(model, out);
  default:
    return llvm::createStringError("no weight section for '%s' yet", text.str().c_str());
  }
  return llvm::Error::success();
}
