// See Jni.h. Direct buffers are shared with C: nothing is copied, and the arena is one more of them.
#include "lib/Target/Jni.h"
#include "lib/Target/Header.h"
#include "llvm/ADT/StringExtras.h"

using namespace llvm;
using namespace burin;

std::string burin::javaClass(const ModelDescription &model) {
  std::string name = model.name;
  name[0] = toUpper(name[0]);
  return name;
}

// A class without a package: where an underscore stands in its name, JNI's mangling writes _1.
static std::string mangled(StringRef name) {
  std::string result;
  for (char c : name)
    result += c == '_' ? "_1" : std::string(1, c);
  return result;
}

void burin::writeJava(const ModelDescription &model, StringRef version, raw_ostream &out) {
  std::vector<Parameter> parameters = parametersOf(model);
  std::string type = javaClass(model);
  out << "import java.nio.ByteBuffer;\nimport java.nio.ByteOrder;\n\n/**\n * " << model.name
      << ": a neural network, made by Burin " << version
      << ".\n * One object for each call that runs at the same time. Buffers are direct, in native byte order.\n */\n"
      << "public final class " << type << " {\n  static {\n    System.loadLibrary(\"" << model.name << "\");\n  }\n\n";
  for (const Parameter &p : parameters)
    out << "  /** Bytes of '" << p.identifier << "', " << cTypeOf(p.tensor->dtype) << ". */\n  public static final int "
        << StringRef(p.identifier).upper() << "_BYTES = " << p.count << " * " << bytesOfDtype(p.tensor->dtype) << ";\n";
  out << "\n  private final ByteBuffer arena = buffer(" << std::max<uint64_t>(model.lentBytes(), 64)
      << " + 64);\n\n  /** A buffer that run takes. */\n  public static ByteBuffer buffer(int bytes) {\n"
      << "    return ByteBuffer.allocateDirect(bytes).order(ByteOrder.nativeOrder());\n  }\n\n"
      << "  /** Runs the network once. */\n  public void run(";
  interleaveComma(parameters, out, [&](const Parameter &p) { out << "ByteBuffer " << p.identifier; });
  out << ") {\n    int status = run0(";
  for (const Parameter &p : parameters)
    out << p.identifier << ", ";
  out << "arena);\n    if (status != 0)\n      throw new IllegalArgumentException(status < 0 ? \"expected direct "
         "buffers of the sizes that this class states\" : \"the network failed with status \" + status);\n  }\n\n"
      << "  private static native int run0(";
  for (const Parameter &p : parameters)
    out << "ByteBuffer " << p.identifier << ", ";
  out << "ByteBuffer arena);\n";
  if (model.unlockedBytes())
    out << "\n  /** Opens the weights, which are encrypted, with a key of 32 bytes: once, before the first run. */\n"
        << "  public void unlock(byte[] key) {\n    if (unlock0(key, arena) != 0)\n      throw new "
           "IllegalArgumentException(\"the weights do not open: the key is not theirs, or they were changed\");\n  "
           "}\n\n  private static native int unlock0(byte[] key, ByteBuffer arena);\n";
  out << "}\n";
}

void burin::writeJniShim(const ModelDescription &model, StringRef version, raw_ostream &out) {
  std::vector<Parameter> parameters = parametersOf(model);
  std::string upper = StringRef(model.name).upper();
  out << "/* " << model.name << " for Java, made by Burin " << version
      << ".\n *\n * cc -shared -fPIC -I$JAVA_HOME/include "
      << "-I$JAVA_HOME/include/linux " << model.name << "_jni.c lib" << model.name << ".a -o lib" << model.name
      << ".so\n */\n#include <jni.h>\n#include <stdint.h>\n\n#include \"" << model.name << ".h\"\n\n"
      << "static void *data(JNIEnv *env, jobject buffer, jlong bytes) {\n"
      << "  return buffer && (*env)->GetDirectBufferCapacity(env, buffer) >= bytes ? "
         "(*env)->GetDirectBufferAddress(env, "
         "buffer) : 0;\n}\n\nJNIEXPORT jint JNICALL Java_"
      << mangled(javaClass(model)) << "_run0(JNIEnv *env, jclass type";
  for (const Parameter &p : parameters)
    out << ", jobject " << p.identifier << "_buffer";
  out << ", jobject arena_buffer) {\n  (void)type;\n";
  for (const Parameter &p : parameters)
    out << "  " << cTypeOf(p.tensor->dtype) << " *" << p.identifier << " = data(env, " << p.identifier << "_buffer, "
        << p.macro << "_COUNT * (jlong)sizeof(" << cTypeOf(p.tensor->dtype) << "));\n";
  out << "  char *arena = data(env, arena_buffer, " << upper << "_ARENA_BYTES + 64);\n  if (!arena";
  for (const Parameter &p : parameters)
    out << " || !" << p.identifier;
  out << ")\n    return -1;\n  arena += (64 - (uintptr_t)arena % 64) % 64;\n  return " << model.name << "_run(";
  for (const Parameter &p : parameters)
    out << p.identifier << ", ";
  out << "arena);\n}\n";
  if (model.unlockedBytes())
    out << "\nJNIEXPORT jint JNICALL Java_" << mangled(javaClass(model))
        << "_unlock0(JNIEnv *env, jclass type, jbyteArray key, jobject arena_buffer) {\n  (void)type;\n"
        << "  char *arena = data(env, arena_buffer, " << upper << "_ARENA_BYTES + 64);\n"
        << "  if (!arena || !key || (*env)->GetArrayLength(env, key) != " << upper << "_KEY_BYTES)\n    return -1;\n"
        << "  arena += (64 - (uintptr_t)arena % 64) % 64;\n  jbyte *bytes = (*env)->GetByteArrayElements(env, key, "
           "0);\n"
        << "  if (!bytes)\n    return -1;\n  int status = " << model.name
        << "_unlock((const uint8_t *)bytes, arena);\n  (*env)->ReleaseByteArrayElements(env, key, bytes, JNI_ABORT);\n"
        << "  return status;\n}\n";
}
