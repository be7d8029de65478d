// Writes OnnxOps.td: one TableGen record for every operator of the domains '' and ai.onnx.ml at the newest opset the
// linked ONNX library knows. Names, order, defaults and documentation are the schema's own; an absent optional operand
// is a value of type none, so every operand keeps ONNX's position. The output goes to the build tree and is never
// committed. Order is by name, so that two runs give the same bytes.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <map>
#include <set>
#include <sstream>

#include "onnx/defs/schema.h"

using namespace onnx;

namespace {

std::string quoted(const std::string &text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\')
      out += '\\';
    out += c;
  }
  return out + "\"";
}

// A TableGen code block ends at "}]"; documentation must not end it early.
std::string docText(const char *doc) {
  std::string text = doc ? doc : "";
  for (size_t at; (at = text.find("}]")) != std::string::npos;)
    text.insert(at + 1, " ");
  return text;
}

// The C++ expression of a default, or empty when the attribute has none.
std::string defaultOf(const AttributeProto &value) {
  std::ostringstream out;
  switch (value.type()) {
  case AttributeProto::INT:
    out << "INT64_C(" << value.i() << ")";
    break;
  case AttributeProto::FLOAT: {
    char text[64];
    snprintf(text, sizeof text, "%.9g", value.f());
    out << text << (std::string(text).find_first_of(".e") == std::string::npos ? ".0f" : "f");
    break;
  }
  case AttributeProto::STRING:
    // StrAttr's constant builder quotes nothing, and TableGen strings need the quotes escaped once more.
    out << quoted(value.s());
    break;
  case AttributeProto::INTS:
    out << "{";
    for (int i = 0; i < value.ints_size(); ++i)
      out << (i ? ", " : "") << "INT64_C(" << value.ints(i) << ")";
    out << "}";
    break;
  case AttributeProto::FLOATS:
    out << "{";
    for (int i = 0; i < value.floats_size(); ++i)
      out << (i ? ", " : "") << value.floats(i) << "f";
    out << "}";
    break;
  case AttributeProto::STRINGS:
    out << "::llvm::ArrayRef<::llvm::StringRef>({";
    for (int i = 0; i < value.strings_size(); ++i)
      out << (i ? ", " : "") << quoted(value.strings(i));
    out << "})";
    break;
  default:
    return "";
  }
  return out.str();
}

const char *attrClass(AttributeProto::AttributeType type) {
  switch (type) {
  case AttributeProto::INT:
    return "Onnx_I64Attr";
  case AttributeProto::FLOAT:
    return "Onnx_F32Attr";
  case AttributeProto::STRING:
    return "StrAttr";
  case AttributeProto::TENSOR:
    return "ElementsAttr";
  case AttributeProto::INTS:
    return "DenseI64ArrayAttr";
  case AttributeProto::FLOATS:
    return "DenseF32ArrayAttr";
  case AttributeProto::STRINGS:
    return "StrArrayAttr";
  case AttributeProto::TYPE_PROTO:
    return "TypeAttr";
  default:
    return nullptr;
  }
}

// Op::getType() exists, so an attribute cannot be called `type`; importer and exporter know this one name (Bridge).
std::string attrName(const std::string &name) { return name == "type" ? "elem_type" : name; }

void writeOp(std::ostream &out, const OpSchema &schema) {
  bool ml = schema.domain() == AI_ONNX_ML_DOMAIN;
  std::string className = (ml ? "Ml" : "") + schema.Name() + "Op";
  std::string mnemonic = (ml ? "ml." : "") + schema.Name();

  std::set<std::string> taken;
  auto unique = [&](std::string name, const char *suffix) {
    while (!taken.insert(name).second)
      name += suffix;
    return name;
  };
  auto valueType = [](const OpSchema::FormalParameter &p, const char *kind) {
    return p.GetOption() == OpSchema::Variadic ? std::string("Variadic<Onnx_") + kind + ">"
                                               : std::string("Onnx_") + kind;
  };

  std::map<std::string, const OpSchema::Attribute *> attrs;
  std::vector<std::string> regions;
  for (const auto &[name, attr] : schema.attributes()) {
    if (attr.type == AttributeProto::GRAPH)
      regions.push_back(name);
    else
      attrs[attrName(name)] = &attr;
  }
  // Descending, so that If reads then, else. The bridge uses the same rule.
  std::sort(regions.rbegin(), regions.rend());

  std::vector<std::string> arguments, results;
  for (const auto &[name, attr] : attrs)
    taken.insert(name);
  for (const auto &p : schema.inputs())
    arguments.push_back(valueType(p, "Operand") + ":$" + unique(p.GetName(), "_in"));
  for (const auto &p : schema.outputs())
    results.push_back(valueType(p, "Result") + ":$" + unique(p.GetName(), "_out"));
  for (const auto &[name, attr] : attrs) {
    const char *base = attrClass(attr->type);
    if (!base) {
      std::cerr << "onnx-schemas: no TableGen class for attribute '" << name << "' of " << schema.Name() << "\n";
      exit(1);
    }
    std::string text = base, value = defaultOf(attr->default_value);
    // A DefaultValuedAttr of an array would build from a braced list in each accessor; both kinds are correct there.
    if (!attr->required)
      text = value.empty() ? "OptionalAttr<" + text + ">" : "DefaultValuedAttr<" + text + ", " + quoted(value) + ">";
    arguments.push_back(text + ":$" + name);
  }

  std::vector<std::string> traits;
  // The library leaves most ops' determinism unstated; the random ones are known by name.
  static const std::set<std::string> random = {"Bernoulli",        "Multinomial",   "RandomNormal",
                                               "RandomNormalLike", "RandomUniform", "RandomUniformLike"};
  if (!regions.empty()) {
    traits = {"RecursiveMemoryEffects", "SingleBlock"};
  } else if (!random.count(schema.Name()) &&
             schema.GetNodeDeterminism() != OpSchema::NodeDeterminism::NonDeterministic) {
    traits = {"Pure"};
  }

  out << "def Onnx_" << className << " : Onnx_" << (regions.empty() ? "NodeOp" : "GraphOp") << "<\"" << mnemonic
      << "\", [";
  for (size_t i = 0; i < traits.size(); ++i)
    out << (i ? ", " : "") << traits[i];
  out << "]> {\n  let summary = \"ONNX " << schema.Name() << (ml ? " of ai.onnx.ml" : "") << ", since opset "
      << schema.SinceVersion() << "\";\n";
  out << "  let description = [{" << docText(schema.doc()) << "}];\n";
  out << "  let arguments = (ins";
  for (size_t i = 0; i < arguments.size(); ++i)
    out << (i ? "," : "") << "\n    " << arguments[i];
  out << ");\n  let results = (outs";
  for (size_t i = 0; i < results.size(); ++i)
    out << (i ? "," : "") << "\n    " << results[i];
  out << ");\n";
  if (!regions.empty()) {
    out << "  let regions = (region";
    for (size_t i = 0; i < regions.size(); ++i)
      out << (i ? "," : "") << " AnyRegion:$" << regions[i];
    out << ");\n";
  }
  out << "}\n\n";
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: onnx-schemas OUT.td\nwrites the operators of the linked ONNX library as TableGen records\n";
    return 1;
  }
  std::map<std::pair<std::string, std::string>, OpSchema> ops;
  for (const OpSchema &schema : OpSchemaRegistry::get_all_schemas())
    if ((schema.domain().empty() || schema.domain() == AI_ONNX_ML_DOMAIN) && !schema.Deprecated())
      ops[{schema.domain(), schema.Name()}] = schema;

  std::ostringstream out;
  out << "// Generated from the linked ONNX library by onnx-schemas; do not edit.\n"
         "#ifndef BURIN_ONNX_OPS\n#define BURIN_ONNX_OPS\ninclude \"dialects/Onnx/Onnx.td\"\n\n";
  for (const auto &[key, schema] : ops)
    if (!(key.first.empty() && key.second == "Constant")) // written by hand: one `value` in place of eight forms
      writeOp(out, schema);
  out << "#endif\n";

  std::ofstream file(argv[1], std::ios::binary);
  file << out.str();
  file.close();
  if (!file) {
    std::cerr << "onnx-schemas: cannot write '" << argv[1] << "'\n";
    return 1;
  }
  return 0;
}
